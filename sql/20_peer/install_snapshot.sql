-- Take in one part of a snapshot; with the last one the state of this node becomes that of its entry.  Raft §7.
--
-- Parts come in order, each kept until all are there, and then all is installed in this very transaction: state,
-- log and pledge, so that nobody ever sees a half of it (H59).  A snapshot that is not ahead of what is applied here
-- changes nothing.  next_part says which part is missing; last_index where this log matches the leader's.
create or replace function peer.install_snapshot(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_term bigint,
  p_snapshot uuid, p_index bigint, p_index_term bigint, p_hash text,
  p_part integer, p_parts integer, p_rows jsonb
) returns table (term bigint, reason text, next_part integer, last_index bigint, applied_index bigint)
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state raft.hard_state;
  v_have  integer;
begin
  perform raft.check_leader(p_cluster, p_from, p_incarnation);
  if p_part > p_parts or p_parts > 65536 or pg_column_size(p_rows) > 16777216 then
    perform raft.raise_too_much(p_from, format('part %s of %s, %s bytes', p_part, p_parts, pg_column_size(p_rows)),
      '65536 parts of 16777216 bytes');
  end if;
  perform set_config('synchronous_commit', 'on', true);
  select * into strict v_state from raft.hard_state for update;
  if p_term < v_state.current_term then
    return query select v_state.current_term, 'stale_term', 0, v_state.last_index, v_state.applied_index;
    return;
  end if;
  v_state := raft.accept_leader(p_term, p_from);

  if p_index <= v_state.applied_index then
    delete from raft.arrived_part;
    return query select p_term, 'not_ahead', 0, v_state.applied_index, v_state.applied_index;
    return;
  end if;
  if p_part = 1 then
    delete from raft.arrived_part;
  end if;
  select count(*) into v_have from raft.arrived_part where id = p_snapshot;
  if p_part = v_have + 1 then
    insert into raft.arrived_part (id, part, rows) values (p_snapshot, p_part, p_rows);
    v_have := p_part;
  end if;
  if v_have < p_parts then
    return query select p_term, 'waiting', v_have + 1, 0::bigint, v_state.applied_index;
    return;
  end if;

  perform cluster.replace_state(p_snapshot);
  perform raft.begin_log(p_index, p_index_term, decode(p_hash, 'hex'));
  delete from raft.arrived_part;
  perform pg_notify('pg_replica_wake', 'applied');
  return query
  select p_term, 'installed', 0, p_index, s.applied_index from raft.hard_state as s;
end
$$;
