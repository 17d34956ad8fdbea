-- What the pgraft interface tells from this node alone, by the function's name without `pgraft_`.
--
-- Stable: several of them in one statement see one state.
create or replace function node.pgraft_local(p_function text, p_args jsonb) returns jsonb
language plpgsql stable set search_path = '', pg_temp as $$
begin
  return case p_function
    when 'is_leader'  then to_jsonb(coalesce(node.pgraft_leader() = (select i.node_id from node.identity as i), false))
    when 'get_leader' then to_jsonb(node.pgraft_leader())
    when 'get_term'   then (select to_jsonb(h.current_term) from raft.hard_state as h)
    when 'get_nodes'  then (select jsonb_agg(to_jsonb(r)) from pgreplica.pgraft_nodes() as r)
    when 'get_cluster_status'  then node.pgraft_status()
    when 'get_nodes_from_raft' then (
      select to_jsonb(coalesce(jsonb_agg(jsonb_build_object('id', r.node_id, 'name', r.name, 'active', r.reachable,
                'address', r.address || ':' || r.port)), '[]')::text)
        from pgreplica.pgraft_nodes() as r)
    when 'get_worker_state'  then to_jsonb(node.pgraft_worker_state())
    when 'get_version'       then to_jsonb('1.0.0'::text)
    when 'get_queue_status'  then node.pgraft_queue()
    when 'test'              then node.pgraft_test()
    when 'log_get_stats'     then node.pgraft_stats()
    when 'get_applied_index' then (select to_jsonb(h.applied_index) from raft.hard_state as h)
    when 'log_get_entry'     then to_jsonb(node.pgraft_entry(node.pgraft_kept(node.given(p_args, 'index')::bigint)))
    when 'log_get_entries'   then node.pgraft_entries(node.pgraft_kept(node.given(p_args, 'from_index')::bigint),
                                    (p_args ->> 'to_index')::bigint, node.given(p_args, 'max_entries')::integer)
    when 'log_get_replication_status' then node.pgraft_replication()
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
