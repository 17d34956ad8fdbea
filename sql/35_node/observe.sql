-- Store what this node's worker sees of its own data server; wake whoever decides on it when it changed.
create or replace function node.observe(p_row jsonb) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_new node.observed;
begin
  v_new := jsonb_populate_record(null::node.observed, jsonb_build_object(
    'role', 'none', 'state', 'stopped', 'epoch', 0, 'writable', false, 'gate_open', false,
    'attached', '[]'::jsonb, 'gone', false, 'hung', false, 'raft_role', 'unknown') || p_row);
  select i.node_id into strict v_new.node_id from node.identity as i;
  v_new.beat := nextval('node.beat');
  v_new.observed_at := raft.now();
  if node.put_observed(v_new) then
    perform pg_notify('pg_replica_wake', 'observed');
  end if;
end
$$;
