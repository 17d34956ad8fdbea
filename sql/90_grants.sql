-- What is granted on the control store alone.  Nothing is public: who is in none of the groups can call nothing of
-- ours.
revoke all on all functions in schema raft, peer, cluster, node, pg_replica, pgreplica from public;
revoke create on schema public from public;
-- A temporary type or table could pose as PostgreSQL's own to functions that run as their owner.
revoke temporary on database postgres from public;
-- Anyone could take any advisory lock: with that of the gate to be shut next all proposals and reads stand still, with
-- that of an installation no worker starts.
revoke execute on function
  pg_advisory_lock(bigint), pg_advisory_lock(integer, integer),
  pg_advisory_lock_shared(bigint), pg_advisory_lock_shared(integer, integer),
  pg_advisory_xact_lock(bigint), pg_advisory_xact_lock(integer, integer),
  pg_advisory_xact_lock_shared(bigint), pg_advisory_xact_lock_shared(integer, integer),
  pg_try_advisory_lock(bigint), pg_try_advisory_lock(integer, integer),
  pg_try_advisory_lock_shared(bigint), pg_try_advisory_lock_shared(integer, integer),
  pg_try_advisory_xact_lock(bigint), pg_try_advisory_xact_lock(integer, integer),
  pg_try_advisory_xact_lock_shared(bigint), pg_try_advisory_xact_lock_shared(integer, integer)
from public;

grant usage on schema peer to pgreplica_peer;
grant execute on all functions in schema peer to pgreplica_peer;

grant usage on schema node to pgreplica_service, pgreplica_caller;
grant execute on function node.take_in(text, text, text, text, boolean) to pgreplica_service;
grant execute on function node.call(text, jsonb, text), node.submit(integer, uuid, text, jsonb) to pgreplica_caller;

-- Callers may take all connections but those of the members, and the superuser's (H64).
do $$
begin
  if current_setting('server_version_num')::integer >= 160000 then
    grant pg_use_reserved_connections to pgreplica_peer;
  end if;
end
$$;
