-- Run one statement, whose answer is one jsonb value, over a dblink connection of this session; no answer within the
-- limit raises p_code.
--
-- Polls instead of waiting, since a frozen server would hold a waiting client for ever; time is counted
-- step by step (pgreplica.passed_ms).
create or replace function pgreplica.ask_over(
  p_name text, p_sql text, p_limit_ms integer, p_code text default 'RF007'
) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_asked  timestamptz;
  v_spent  integer := 0;        -- milliseconds
  v_step   integer := 1;
  v_answer jsonb;
begin
  perform pgreplica.dblink_send_query(p_name, p_sql);
  while pgreplica.dblink_is_busy(p_name) = 1 loop
    v_asked := clock_timestamp();
    if v_spent >= p_limit_ms then
      raise exception using errcode = p_code, message = format('no answer within %s ms', p_limit_ms);
    end if;
    perform pg_sleep(v_step / 1000.0);
    v_spent := v_spent + pgreplica.passed_ms(v_asked, v_step, 100);
    v_step := least(1 + v_spent / 20, 20);
  end loop;
  select r.answer into v_answer from pgreplica.dblink_get_result(p_name) as r (answer jsonb);
  -- A second result, none, makes the connection free for the next.
  perform from pgreplica.dblink_get_result(p_name) as r (answer jsonb);
  return v_answer;
end
$$;
comment on function pgreplica.ask_over(text, text, integer, text) is
  'Run a statement over a dblink connection of this session, within a limit.';
