-- Let this node's worker log at debug from its next word on, or no longer.
create or replace function node.pgraft_set_debug(p_enabled boolean) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if p_enabled is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'enabled is null';
  end if;
  update node.worker set debug = p_enabled;
  return found;
end
$$;
