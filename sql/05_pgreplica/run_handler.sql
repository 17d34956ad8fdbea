-- Call the apply handler for each of these entries that it has not had, in order; how many it took.
--
-- What it does and its place are one transaction: each entry is taken once.  At an error it stays before that entry,
-- and nothing of that call is left.  The handler's names are looked up in public, unless it has a search_path.
create or replace function pgreplica.run_handler(p_entries jsonb) returns integer
language plpgsql volatile set search_path = '' as $$
declare
  v_me      pgreplica.apply_handler;
  v_problem text;
  v_one     record;
  v_taken   integer := 0;
begin
  select * into v_me from pgreplica.apply_handler as h where h.handler is not null for update;
  if not found then
    return 0;
  end if;
  v_problem := pgreplica.handler_problem(
    pg_catalog.to_regprocedure(v_me.handler || '(bigint,bigint,text)'), v_me.owner);
  perform pg_catalog.set_config('search_path', 'public, pg_temp', true);
  for v_one in
    select e.* from pg_catalog.jsonb_to_recordset(p_entries) as e (index bigint, item integer, term bigint, data text)
     where (e.index, e.item) > (v_me.index, v_me.item) order by e.index, e.item
  loop
    begin
      if v_problem is not null then
        raise exception using errcode = 'object_not_in_prerequisite_state', message = v_problem;
      end if;
      execute pg_catalog.format('select %s($1, $2, $3)', v_me.handler) using v_one.index, v_one.term, v_one.data;
      set constraints all immediate;
    exception when query_canceled or assert_failure or others then
      update pgreplica.apply_handler
         set failures = failures + 1, failed_at = pg_catalog.clock_timestamp(),
             error = pg_catalog.format('entry %s: %s: %s', v_one.index, sqlstate, sqlerrm);
      exit;
    end;
    v_taken := v_taken + 1;
    update pgreplica.apply_handler
       set index = v_one.index, item = v_one.item, applied_at = pg_catalog.clock_timestamp(),
           failures = 0, error = null, failed_at = null;
  end loop;
  return v_taken;
end
$$;
comment on function pgreplica.run_handler(jsonb) is 'call the apply handler for entries that it has not had';
