-- Ask for a failover or switchover.  Sessions of a control store do not end with it.
create or replace function pgreplica.request(p_function text, p_args jsonb) returns jsonb
language sql volatile set search_path = '', pg_temp as $$
  select pgreplica.act(p_function, p_args);
$$;
