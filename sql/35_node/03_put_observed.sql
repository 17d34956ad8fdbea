-- Keep the newest row of each member: rows travel by several ways and may arrive out of order.
--
-- True when it tells something new; positions and beats change all the time, and are no news.
create or replace function node.put_observed(p_row node.observed) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_old node.observed;
begin
  select * into v_old from node.observed as o where o.node_id = p_row.node_id;
  if not found then
    insert into node.observed select p_row.* on conflict (node_id) do nothing;
    return true;
  end if;

  update node.observed as o set
    beat = p_row.beat, role = p_row.role, state = p_row.state, epoch = p_row.epoch,
    writable = p_row.writable, gate_open = p_row.gate_open, timeline = p_row.timeline,
    wal_lsn = p_row.wal_lsn, replay_lsn = p_row.replay_lsn, switch_lsn = p_row.switch_lsn,
    stamp_lsn = p_row.stamp_lsn, attached = p_row.attached, lag_bytes = p_row.lag_bytes,
    lag_ms = p_row.lag_ms, sync_state = p_row.sync_state, rule_in_force = p_row.rule_in_force,
    rule_proved = p_row.rule_proved, slots = p_row.slots,
    problem = p_row.problem, system_identifier = p_row.system_identifier, gone = p_row.gone,
    hung = p_row.hung, raft = p_row.raft, raft_role = p_row.raft_role, observed_at = p_row.observed_at
   where o.node_id = p_row.node_id and o.beat < p_row.beat;
  return found and
    (v_old.role, v_old.state, v_old.epoch, v_old.writable, v_old.gate_open, v_old.switch_lsn,
     v_old.stamp_lsn, v_old.attached, v_old.rule_in_force, v_old.rule_proved, v_old.problem, v_old.gone, v_old.hung,
     v_old.system_identifier)
    is distinct from
    (p_row.role, p_row.state, p_row.epoch, p_row.writable, p_row.gate_open, p_row.switch_lsn,
     p_row.stamp_lsn, p_row.attached, p_row.rule_in_force, p_row.rule_proved, p_row.problem, p_row.gone, p_row.hung,
     p_row.system_identifier);
end
$$;
