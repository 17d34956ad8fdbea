-- A write is the leader's alone (RF001), unless the caller wants it forwarded.  Where nobody leads the write says so.
create or replace function node.pgraft_check_leads(p_function text, p_forward text, p_leader integer) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_me integer := (select i.node_id from node.identity as i);
begin
  if p_forward !~* '^(on|off|true|false|yes|no|1|0)?$' then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('pgraft.forward_writes is %s', left(p_forward, 100)), hint = 'It is on or off.';
  elsif v_me is null then
    raise exception using errcode = 'RF012', message = 'pgraft: not initialized. Run SELECT pgraft_init()',
      hint = 'Its control store is made by pg-replica init.';
  elsif p_leader <> v_me and not coalesce(nullif(p_forward, '')::boolean, false) then
    raise exception using errcode = 'RF001', detail = format('Current leader: %s.', p_leader),
      message = case when p_function like 'kv\_%'
        then format('pgraft_kv: write operations only allowed on leader node (current leader: %s)', p_leader)
        else format('pgraft: cannot %s - this node is not the leader',
               case p_function when 'log_append' then 'append entry' else replace(p_function, '_', ' ') end) end,
      hint = 'Call it there, or set pgraft.forward_writes = on.';
  end if;
end
$$;
