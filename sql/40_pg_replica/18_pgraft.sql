-- The functions of the pgraft interface, by their names without `pgraft_`, in its words.  p_args: function, forward.
--
-- Writes are the leader's alone unless the caller wants them forwarded.
create or replace function node.pgraft(p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_function text    := p_args ->> 'function';
  v_kv       boolean := v_function like 'kv\_%';
  v_leader   integer := node.leader_heard();
  v_index    bigint;
begin
  if v_function in ('kv_put', 'kv_delete', 'kv_cas', 'kv_compact', 'kv_reset', 'replicate_entry', 'log_append')
     and not coalesce(nullif(p_args ->> 'forward', '')::boolean, false)
     and v_leader <> (select i.node_id from node.identity as i) then
    raise exception using errcode = 'RF001', detail = format('Current leader: %s.', v_leader),
      message = case when v_kv then format('pgraft_kv: write operations only allowed on leader node (current leader: %s)',
                                           v_leader)
                     when v_function = 'log_append' then 'pgraft: cannot append entry - this node is not the leader'
                     else 'pgraft: cannot replicate entry - this node is not the leader' end,
      hint = 'Call it there, or set pgraft.forward_writes = on.';
  end if;
  case v_function
    when 'replicate_entry' then
      return to_jsonb(node.replicate(p_args) > 0);
    when 'log_append' then
      if p_args ->> 'term' is null then
        raise exception using errcode = 'null_value_not_allowed', message = 'term is null';
      end if;
      v_index := node.replicate(p_args);
      if v_index is null then
        raise exception using errcode = 'RF004', message = format('pgraft: term %s is over, current term is %s',
          p_args ->> 'term', (select h.current_term from raft.hard_state as h));
      end if;
      return to_jsonb(v_index);
    when 'log_sync_with_leader' then
      perform node.read_barrier('linearizable');
      return to_jsonb(true);
    when 'kv_put', 'kv_delete', 'kv_cas' then
      return case when v_function = 'kv_put' then to_jsonb(node.kv_write('kv_put', p_args) is not null)
                  else node.kv_write(v_function, p_args) end;
    when 'kv_compact', 'kv_reset' then
      return to_jsonb((node.commit(gen_random_uuid(), v_function, '{}')).outcome = 'ok');
    when 'kv_get', 'kv_get_entry', 'kv_exists', 'kv_list', 'kv_list_keys' then
      return node.kv_read(v_function, p_args);
    else
      return node.pgraft_local(v_function, p_args);
  end case;
exception
  when sqlstate 'RF002' then
    raise exception using errcode = 'RF002', message = 'pgraft: raft consensus not ready',
      detail = format('Current leader: %s.', coalesce(node.leader_heard()::text, 'none')), hint = sqlerrm;
  when sqlstate 'RF003' then
    raise exception using errcode = 'RF003', message = 'pgraft: ' || sqlerrm,
      detail = format('Current leader: %s.', coalesce(node.leader_heard()::text, 'none'));
end
$$;
