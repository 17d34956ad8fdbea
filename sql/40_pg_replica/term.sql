-- Raft's number of the newest election this node knows.
create or replace function pg_replica.term() returns bigint
language sql stable security definer set search_path = '', pg_temp as $$
  select h.current_term from raft.hard_state as h;
$$;
comment on function pg_replica.term() is 'The newest Raft term this node knows.';
