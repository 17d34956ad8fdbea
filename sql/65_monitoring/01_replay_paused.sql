-- Whether replay is paused, or will be; null on a primary.  PostgreSQL's own function fails there, and a standby may
-- be promoted between the question whether it is one and this.
create or replace function pgreplica.replay_paused() returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  return pg_is_wal_replay_paused();
exception when object_not_in_prerequisite_state then
  return null;
end
$$;
comment on function pgreplica.replay_paused() is 'Whether replay is paused here; null on a primary.';
