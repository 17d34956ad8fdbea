-- What this node's worker has counted since its start: what its peers answered and what a leader sent it, and the rest.
create or replace function node.counts() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
           'messages', (w.told ->> 'messages')::bigint + greatest(raft.heard_count() - w.heard, 0),
           'heartbeats', (w.told ->> 'heartbeats')::bigint,
           'elections', (w.told ->> 'elections')::bigint)
    from node.worker as w;
$$;
