-- Call a function of the control store of this node, through a session of our own on this server: one that can be
-- left behind, since a frozen control store would hold whoever connects to it.  Errors come through whole: SQLSTATE,
-- message, detail, hint.
--
-- What was not asked, since the store could not be reached or was silent, is 08001; an answer that did not come is
-- RF007, or another of class 08 or 57.
create or replace function pgreplica.ask_control(p_function text, p_args jsonb, p_limit_ms integer) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_detail text;
begin
  return pgreplica.ask_each(pgreplica.own_conninfo('postgres', p_limit_ms + 1000), array[
      'select pgreplica.knock()',
      format('select pgreplica.ask_over(%L, %L, %s)', 'pgreplica control',
             format('select node.call(%L, %L, %L)', p_function, p_args, session_user), p_limit_ms)],
    array[4000, p_limit_ms]);
exception when sqlclient_unable_to_establish_sqlconnection then
  get stacked diagnostics v_detail = pg_exception_detail;
  perform pgreplica.raise_silent(coalesce(nullif(v_detail, ''), sqlerrm));
end
$$;
comment on function pgreplica.ask_control(text, jsonb, integer) is
  'Call a function of the control store of this node, in a session that can be left behind.';
