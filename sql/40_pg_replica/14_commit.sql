-- Propose a command under a key and wait until this node has applied it: its place in the log, and its outcome.
--
-- A key that was used before is not proposed again: place and outcome are those of its first time (H60).
create or replace function node.commit(
  p_key uuid, p_kind text, p_body jsonb, out log_index bigint, out outcome text, p_limit_ms integer default 3800
)
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  perform node.propose(p_key, p_kind, p_body || jsonb_build_object(
    'at', raft.now(), 'asked', (select i.node_id from node.identity as i)), p_limit_ms);
  select p.log_index, p.outcome into strict log_index, outcome
    from cluster.proposal as p where p.client = p_key and p.sequence = 1;
end
$$;
