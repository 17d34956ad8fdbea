-- The functions of the pgraft interface that wait or change something, by their names without `pgraft_`, in its words.
-- p_args: function, limit_ms, forward.
--
-- Writes are the leader's alone unless the caller wants them forwarded.
create or replace function node.pgraft(p_args jsonb, p_by text) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_function text    := p_args ->> 'function';
  v_limit    integer := coalesce((p_args ->> 'limit_ms')::integer, 5000);
  v_leader   integer := node.leader_heard();
  v_index    bigint;
begin
  if v_function in ('kv_put', 'kv_delete', 'kv_cas', 'kv_compact', 'kv_reset', 'replicate_entry', 'log_append', 'add_node',
                    'remove_node', 'transfer_leadership') then
    perform node.pgraft_check_leads(v_function, p_args ->> 'forward', v_leader);
  end if;
  case v_function
    when 'replicate_entry' then
      return to_jsonb(node.replicate(p_args) > 0);
    when 'log_append' then
      perform node.given(p_args, 'term');
      v_index := node.replicate(p_args);
      if v_index is null then
        raise exception using errcode = 'RF004', message = format('pgraft: term %s is over, current term is %s',
          p_args ->> 'term', (select h.current_term from raft.hard_state as h));
      end if;
      return to_jsonb(v_index);
    when 'log_commit' then
      return to_jsonb(node.pgraft_await('committed', (p_args ->> 'index')::bigint, v_limit));
    when 'log_apply' then
      return to_jsonb(node.pgraft_await('applied', (p_args ->> 'index')::bigint, v_limit));
    when 'log_sync_with_leader' then
      perform node.read_barrier('linearizable', v_limit);
      return to_jsonb(true);
    when 'kv_put', 'kv_delete', 'kv_cas' then
      return case when v_function = 'kv_put' then to_jsonb(node.kv_write('kv_put', p_args) is not null)
                  else node.kv_write(v_function, p_args) end;
    when 'kv_compact', 'kv_reset' then
      return to_jsonb((node.propose(null, v_function, '{}', v_limit)).outcome = 'ok');
    when 'kv_get', 'kv_get_entry', 'kv_exists', 'kv_list', 'kv_list_keys' then
      if v_function in ('kv_list', 'kv_list_keys') then
        perform node.given(p_args, 'prefix');
      end if;
      if v_function = 'kv_list' then
        perform node.given(p_args, 'max_rows');
      end if;
      return node.kv_read(v_function, p_args);
    when 'init'                then return to_jsonb(node.pgraft_init());
    when 'add_node'            then return to_jsonb(node.pgraft_add_node(p_args, p_by));
    when 'remove_node'         then return to_jsonb(node.pgraft_remove_node(p_args, p_by));
    when 'transfer_leadership' then
      return to_jsonb(node.pgraft_transfer((p_args ->> 'node_id')::integer, v_limit));
    when 'set_debug'           then return to_jsonb(node.pgraft_set_debug((p_args ->> 'enabled')::boolean));
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
