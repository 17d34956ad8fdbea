-- What the pgraft interface tells from this node alone, by the function's name without `pgraft_`.
create or replace function node.pgraft_local(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  return case p_function
    when 'is_leader'  then to_jsonb(coalesce(node.leader_heard() = (select i.node_id from node.identity as i), false))
    when 'get_leader' then to_jsonb(coalesce(node.leader_heard(), 0))
    when 'get_term'   then (select to_jsonb(h.current_term) from raft.hard_state as h)
    when 'get_applied_index' then (select to_jsonb(h.applied_index) from raft.hard_state as h)
    -- A batch of pg_replica.replicate() is told as a JSON list.
    when 'log_get_entry' then (
      select case when count(*) = 1 then to_jsonb(min(e.data))
                  when count(*) > 1 then to_jsonb(jsonb_agg(e.data order by e.item)::text) end
        from cluster.entry as e where e.index = (p_args ->> 'index')::bigint)
    when 'kv_get_stats' then (
      select jsonb_build_object(
               'num_entries', count(k.key), 'total_operations', t.puts + t.deletes,
               'last_applied_index', h.applied_index, 'puts', t.puts, 'deletes', t.deletes,
               'gets', case when g.is_called then g.last_value else 0 end,
               'active_entries', count(k.value), 'deleted_entries', count(k.key) - count(k.value),
               'total_bytes', coalesce(sum(octet_length(k.key) + octet_length(k.value)), 0),
               'compacted_version', t.compacted_version)
        from cluster.kv_total as t
       cross join raft.hard_state as h
       cross join node.kv_gets as g
        left join cluster.kv as k on k.replaced_by is null
       group by t.singleton, h.singleton, g.is_called, g.last_value)
  end;
end
$$;
