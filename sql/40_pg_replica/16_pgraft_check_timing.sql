-- Do the timers that follow from node.yaml (p_timing, what counts where nothing else is set; its lease, where it is
-- known) and from the settings pgraft.* (p_set) fit together?  Refused by name where they do not.
create or replace function node.pgraft_check_timing(p_set jsonb, p_timing jsonb) returns void
language plpgsql immutable set search_path = '', pg_temp as $$
declare
  v_election  bigint := coalesce(p_set ->> 'election_timeout', p_timing ->> 'election_ms', '1000')::bigint;
  v_heartbeat bigint := coalesce(p_set ->> 'heartbeat_interval', p_timing ->> 'heartbeat_ms', '100')::bigint;
  v_lease     bigint := (p_timing ->> 'lease_ms')::bigint;
begin
  if not p_set ?| array['election_timeout', 'heartbeat_interval'] then
    return;
  elsif v_election < 5 * v_heartbeat then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('pgraft: pgraft.election_timeout is %s, must be at least 5 times heartbeat_interval (%s)',
                       v_election, v_heartbeat);
  elsif v_lease < 2 * v_election then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('pgraft: pgraft.election_timeout is %s, must be at most half of timing.lease_ms (%s)',
                       v_election, v_lease),
      hint = 'timing.lease_ms is set in node.yaml, the same on all members.';
  end if;
end
$$;
