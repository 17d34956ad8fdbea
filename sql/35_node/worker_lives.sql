-- This node's worker lives, and tells what only it knows.  True while it is to log at debug.
--
-- A run of the worker that begins takes the row of the one before.
create or replace function node.worker_lives(
  p_instance uuid, p_heartbeat_ms integer, p_election_ms integer, p_told jsonb
) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_debug boolean;
begin
  update node.worker
     set beat_at = raft.now(), told = p_told, heartbeat_ms = p_heartbeat_ms, election_ms = p_election_ms
   where instance = p_instance
  returning debug into v_debug;
  if not found then
    insert into node.worker (instance, heard, beat_at, heartbeat_ms, election_ms, told)
    values (p_instance, raft.heard_count(), raft.now(), p_heartbeat_ms, p_election_ms, p_told)
    on conflict (singleton) do update
      set instance = excluded.instance, heard = excluded.heard, beat_at = excluded.beat_at,
          heartbeat_ms = excluded.heartbeat_ms, election_ms = excluded.election_ms, told = excluded.told,
          debug = false;
  end if;
  return coalesce(v_debug, false);
end
$$;
