-- Wait until this node has applied everything committed before this call; 'local' waits for nothing.
create or replace function node.read_barrier(p_consistency text, p_limit_ms integer default 3800) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_index  bigint;
  v_looked timestamptz;
  v_spent  integer := 0;        -- milliseconds
begin
  if p_consistency is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'consistency is null',
      hint = 'It is linearizable or local.';
  elsif p_consistency = 'local' then
    return;
  elsif p_consistency <> 'linearizable' then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('consistency is %s', left(p_consistency, 100)), hint = 'It is linearizable or local.';
  end if;
  v_index := node.read_index(p_limit_ms);
  while (select h.applied_index < v_index from raft.hard_state as h) loop
    if v_spent >= least(p_limit_ms, 3000) then
      raise exception using errcode = 'RF002', message = 'this node is behind: it has not applied what was committed',
        detail = (select format('Committed is entry %s, applied is %s.', v_index, h.applied_index)
                    from raft.hard_state as h),
        hint = 'With consistency => ''local'' this node answers alone, with what is old; see pg_replica.status().';
    end if;
    v_looked := clock_timestamp();
    perform pg_sleep(0.001);
    v_spent := v_spent + pgreplica.passed_ms(v_looked, 1, 100);
  end loop;
end
$$;
