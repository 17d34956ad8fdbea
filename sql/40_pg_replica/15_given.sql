-- An argument that a caller must not leave null.
create or replace function node.given(p_args jsonb, p_name text) returns text
language plpgsql immutable set search_path = '', pg_temp as $$
begin
  if p_args ->> p_name is null then
    raise exception using errcode = 'null_value_not_allowed', message = format('%s is null', p_name);
  end if;
  return p_args ->> p_name;
end
$$;
