-- Say why nothing could be decided (RF002), and what may still come of it.
create or replace function node.raise_no_leader(p_leader integer, p_taken boolean, p_why text) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_voters integer := (select count(*) from cluster.member where voter);
  v_hint   text := format('%s of the %s voters must be up and reach each other; see pg_replica.status().',
                          v_voters / 2 + 1, v_voters);
begin
  if p_taken then
    raise exception using errcode = 'RF002',
      message = 'no quorum has confirmed this in time',
      detail = format('Node %s took it, and it may still be carried out.', p_leader),
      hint = 'Look at pg_replica.requests() before asking again. ' || v_hint;
  elsif p_leader is not null then
    raise exception using errcode = 'RF002',
      message = format('the leader, node %s, does not answer', p_leader),
      detail = coalesce(p_why, 'It was heard of, and then it was not.'), hint = v_hint;
  end if;
  raise exception using errcode = 'RF002',
    message = 'no leader: nobody can decide this now',
    detail = coalesce('This node, ' || (select i.name from node.identity as i) || ', has heard of no leader in term '
      || (select h.current_term from raft.hard_state as h) || '.', 'This control store has no identity yet.'),
    hint = v_hint;
end
$$;
