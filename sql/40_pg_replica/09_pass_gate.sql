-- Wait until what was handed in at a gate is applied, or answered; the gate to wait at next.
--
-- The limit is for a worker that stands still with the gate shut; one that died opened it.  Then, and where nobody
-- leads, gates are open and nothing moves them on: a millisecond passes instead.
create or replace function node.pass_gate(p_gate bigint) returns bigint
language plpgsql volatile set search_path = '', pg_temp set lock_timeout = '100ms' as $$
begin
  perform pg_advisory_lock_shared(p_gate), pg_advisory_unlock_shared(p_gate);
  if p_gate < (select g.last_value from raft.gate as g) then
    return p_gate + 1;
  end if;
  perform pg_sleep(0.001);
  return p_gate;
exception when lock_not_available then
  return p_gate;
end
$$;
