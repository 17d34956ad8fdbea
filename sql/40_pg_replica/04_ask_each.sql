-- Run statements, each of which answers with one jsonb value, one after the other in a session of another server,
-- within a limit; the last answer.
--
-- Polls instead of waiting, since a frozen server would hold a waiting client for ever; time is counted
-- step by step (pgreplica.passed_ms).  The connection never outlives the call: it may belong to a superuser.
create or replace function node.ask_each(p_conninfo text, p_sql text[], p_limit_ms integer) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_name   text    := 'pgreplica ' || gen_random_uuid();
  v_open   boolean := false;
  v_asked  timestamptz;
  v_spent  integer := 0;        -- milliseconds
  v_step   integer;
  v_sql    text;
  v_answer jsonb;
  v_detail text;
  v_hint   text;
begin
  perform node.dblink_connect(v_name, p_conninfo);
  v_open := true;
  foreach v_sql in array p_sql loop
    v_step := 1;
    perform node.dblink_send_query(v_name, v_sql);
    while node.dblink_is_busy(v_name) = 1 loop
      v_asked := clock_timestamp();
      if v_spent >= p_limit_ms then
        raise exception using errcode = 'RF007',
          message = format('no answer within %s ms', p_limit_ms);
      end if;
      perform pg_sleep(v_step / 1000.0);
      v_spent := v_spent + pgreplica.passed_ms(v_asked, v_step, 100);
      v_step := least(1 + v_spent / 20, 20);
    end loop;
    select r.answer into v_answer from node.dblink_get_result(v_name) as r (answer jsonb);
    -- A second result, none, makes the connection free for the next.
    perform from node.dblink_get_result(v_name) as r (answer jsonb);
  end loop;
  perform node.dblink_disconnect(v_name);
  return v_answer;
exception
  when query_canceled or assert_failure then
    if v_open then perform node.dblink_disconnect(v_name); end if;
    raise;
  when others then
    get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
    if v_open then perform node.dblink_disconnect(v_name); end if;
    perform pgreplica.raise_as(sqlstate, sqlerrm, v_detail, v_hint);
end
$$;
