-- Who may call what, on control stores and data servers alike.  Nothing is public: who is in none of the groups can
-- call nothing of ours.
revoke all on all functions in schema pg_replica, pgreplica from public;

grant usage on schema pg_replica to pgreplica_monitor;
grant select on all tables in schema pg_replica to pgreplica_monitor;
grant execute on function
  pg_replica.status(), pg_replica.cluster(), pg_replica.primary(), pg_replica.members(),
  pg_replica.requests(integer), pg_replica.events(bigint, integer), pg_replica.history(), pg_replica.settings(),
  pg_replica.progress(), pg_replica.explain(text), pg_replica.explain(integer),
  pg_replica.version(), pg_replica.leader(), pg_replica.is_leader(), pg_replica.term(),
  pg_replica.entries(bigint, integer), pg_replica.kv_get(text, text), pg_replica.kv_get_entry(text, text),
  pg_replica.kv_exists(text, text), pg_replica.kv_list(text, text, integer, text),
  pg_replica.kv_history(text, bigint, integer, text)
  to pgreplica_monitor;
grant execute on function
  pg_replica.failover(text, boolean, integer), pg_replica.failover(integer, boolean, integer),
  pg_replica.switchover(text, timestamptz, integer), pg_replica.switchover(integer, timestamptz, integer),
  pg_replica.cancel(bigint), pg_replica.pause(text), pg_replica.resume(), pg_replica.recover(boolean, text),
  pg_replica.replicate(text, text), pg_replica.replicate(text[], text), pg_replica.replicate(jsonb[], text),
  pg_replica.kv_put(text, text), pg_replica.kv_delete(text), pg_replica.kv_cas(text, bigint, text),
  pg_replica.kv_compact(),
  pg_replica.add_node(text, integer, text, boolean, integer),
  pg_replica.remove_node(text, boolean), pg_replica.remove_node(integer, boolean),
  pg_replica.set_node(text, integer, boolean, boolean, boolean),
  pg_replica.set_node(integer, integer, boolean, boolean, boolean),
  pg_replica.invitation(), pg_replica.set(text, text), pg_replica.reset(text)
  to pgreplica_admin;
