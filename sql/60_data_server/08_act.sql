-- Call an acting function.
create or replace function pgreplica.act(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  return pgreplica.call(p_function, p_args, pgreplica.limit_ms(p_function, p_args));
end
$$;
comment on function pgreplica.act(text, jsonb) is
  'Call an acting function of pg_replica on the control store of this node.';
