-- Run statements, each of which answers with one jsonb value, one after the other in a session of another server, each
-- within its limit; the last answer.  No answer to the last is RF007; to one before it is as if nobody was there
-- (08001), for what matters was not asked.
--
-- The connection never outlives the call: it may belong to a superuser.
create or replace function pgreplica.ask_each(p_conninfo text, p_sql text[], p_limits_ms integer[]) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_name   text    := 'pgreplica ' || gen_random_uuid();
  v_open   boolean := false;
  v_answer jsonb;
  v_detail text;
  v_hint   text;
begin
  perform pgreplica.dblink_connect(v_name, p_conninfo);
  v_open := true;
  for i in 1 .. cardinality(p_sql) loop
    v_answer := pgreplica.ask_over(v_name, p_sql[i], p_limits_ms[i],
                                   case when i < cardinality(p_sql) then '08001' else 'RF007' end);
  end loop;
  perform pgreplica.dblink_disconnect(v_name);
  return v_answer;
exception
  when query_canceled or assert_failure then
    if v_open then perform pgreplica.dblink_disconnect(v_name); end if;
    raise;
  when others then
    get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
    if v_open then perform pgreplica.dblink_disconnect(v_name); end if;
    perform pgreplica.raise_as(sqlstate, sqlerrm, v_detail, v_hint);
end
$$;
comment on function pgreplica.ask_each(text, text[], integer[]) is
  'Run statements one after the other in a session of another server, each within its limit.';
