-- A caller's limit of waiting: null is the default; an hour is the most.
create or replace function node.wait_ms(p_args jsonb) returns integer
language plpgsql immutable set search_path = '', pg_temp as $$
declare
  v_wait integer := coalesce((p_args ->> 'wait_ms')::integer, 30000);
begin
  if v_wait not between 0 and 3600000 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('wait_ms is %s', v_wait),
      hint = 'It is a number of milliseconds from 0 to 3600000 (an hour).';
  end if;
  return v_wait;
end
$$;
