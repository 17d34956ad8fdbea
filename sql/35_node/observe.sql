-- Store what this node's worker sees of its own data server; wake whoever decides on it when it changed.
create or replace function node.observe(p_row jsonb) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_old node.observed;
  v_new node.observed;
begin
  select o.* into v_old from node.observed as o, node.identity as i where o.node_id = i.node_id;
  v_new := jsonb_populate_record(null::node.observed, jsonb_build_object(
    'role', 'none', 'state', 'stopped', 'epoch', 0, 'writable', false, 'gate_open', false,
    'attached', '[]'::jsonb, 'gone', false, 'hung', false, 'raft_role', 'unknown') || p_row);
  select i.node_id into strict v_new.node_id from node.identity as i;
  v_new.beat := nextval('node.beat');
  v_new.observed_at := raft.now();
  perform node.put_observed(v_new);

  if (v_old.role, v_old.state, v_old.epoch, v_old.writable, v_old.gate_open, v_old.switch_lsn,
      v_old.stamp_lsn, v_old.attached, v_old.rule_in_force, v_old.rule_proved, v_old.problem, v_old.gone, v_old.hung,
      v_old.system_identifier)
     is distinct from
     (v_new.role, v_new.state, v_new.epoch, v_new.writable, v_new.gate_open, v_new.switch_lsn,
      v_new.stamp_lsn, v_new.attached, v_new.rule_in_force, v_new.rule_proved, v_new.problem, v_new.gone, v_new.hung,
      v_new.system_identifier)
  then
    perform pg_notify('pg_replica_wake', 'observed');
  end if;
end
$$;
