-- Call a function that changes nothing, or leaves rows to look at: no answer is as if nobody was there.
create or replace function pgreplica.call(
  p_function text, p_args jsonb default '{}', p_limit_ms integer default 4000
) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  return pgreplica.ask_control(p_function, p_args, p_limit_ms);
exception when connection_failure or sqlstate 'RF007' then
  perform pgreplica.raise_silent(sqlerrm);
end
$$;
comment on function pgreplica.call(text, jsonb, integer) is
  'Call a function of pg_replica on the control store of this node.';
