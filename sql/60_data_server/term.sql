-- Raft's number of the newest election this node knows, says the control store of this node.
create or replace function pg_replica.term() returns bigint
language sql volatile security definer set search_path = '', pg_temp as $$
  select (pgreplica.call('term') #>> '{}')::bigint;
$$;
comment on function pg_replica.term() is 'The newest Raft term this node knows.';
