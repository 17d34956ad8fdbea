-- Ask the control store of this node, through a session of our own on this server: one that can be left behind, since a
-- frozen control store would hold whoever connects to it.  Errors come through whole: SQLSTATE, message, detail, hint.
create or replace function pgreplica.call(
  p_function text, p_args jsonb default '{}', p_limit_ms integer default 4000
) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_detail text;
begin
  return pgreplica.ask(pgreplica.own_conninfo(p_limit_ms + 1000),
    format('select pgreplica.ask(%L, %L, %s)', pgreplica.control_conninfo(),
      format('select node.call(%L, %L, %L)', p_function, p_args, session_user), p_limit_ms),
    p_limit_ms);
exception when sqlclient_unable_to_establish_sqlconnection or connection_failure or sqlstate 'RF007' then
  get stacked diagnostics v_detail = pg_exception_detail;
  raise exception using errcode = 'sqlclient_unable_to_establish_sqlconnection',
    message = 'the control store of this node does not answer',
    detail = coalesce(nullif(v_detail, ''), sqlerrm),
    hint = format('Is pg-replica running here?  Other nodes answer too; this one: %s',
                  pgreplica.setting('pgreplica.control_uri'));
end
$$;
comment on function pgreplica.call(text, jsonb, integer) is
  'Call a function of pg_replica on the control store of this node.';
