-- Serve a caller of the log as a service: by the control store of this node.
create or replace function pgreplica.serve_caller(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  return pgreplica.ask_control(p_function, p_args, pgreplica.limit_ms(p_function, p_args));
end
$$;
comment on function pgreplica.serve_caller(text, jsonb) is
  'Serve a caller of the log as a service, by the control store of this node.';
