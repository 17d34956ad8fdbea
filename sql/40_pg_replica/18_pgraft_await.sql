-- Wait until an entry is committed, or applied here.  Nothing is forced.
create or replace function node.pgraft_await(p_what text, p_index bigint, p_limit_ms integer) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_now    bigint;
  v_looked timestamptz;
  v_spent  integer := 0;        -- milliseconds
begin
  if p_index is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'index is null';
  elsif p_index < 0 then
    raise exception using errcode = 'invalid_parameter_value', message = format('index is %s', p_index),
      hint = 'It is 0 or more.';
  end if;
  loop
    select case p_what when 'committed' then h.commit_index else h.applied_index end into v_now from raft.hard_state as h;
    exit when v_now >= p_index;
    if v_spent >= p_limit_ms then
      raise exception using errcode = 'RFP07',
        message = format('pgraft: entry %s is not %s after %s ms', p_index, p_what, p_limit_ms),
        detail = format('The last one that is has index %s.', v_now);
    end if;
    v_looked := clock_timestamp();
    perform pg_sleep(0.002);
    v_spent := v_spent + pgreplica.passed_ms(v_looked, 2, 100);
  end loop;
  return true;
end
$$;
