-- How many rows a caller wants: null is p_default.
create or replace function node.max_rows(p_wanted integer, p_default integer) returns integer
language plpgsql immutable set search_path = '', pg_temp as $$
begin
  if p_wanted < 0 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('max_rows is %s', p_wanted), hint = 'It is 0 or more.';
  end if;
  return coalesce(p_wanted, p_default);
end
$$;
