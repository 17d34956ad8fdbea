-- Act for the caller in a session of our own: a REPEATABLE READ caller would never see the outcome.
create or replace function pgreplica.act(p_function text, p_args jsonb) returns jsonb
language sql volatile set search_path = '', pg_temp as $$
  select pgreplica.ask(pgreplica.own_conninfo('pgreplica_caller', l.ms + 1000),
    format('select node.call(%L, %L, %L)', p_function, p_args, session_user), l.ms)
    from pgreplica.limit_ms(p_function, p_args) as l (ms);
$$;
