-- Append a leader's entries, learn its commit index, apply what is committed.  Raft §5.3.
--
-- One transaction: the answer counts at ReadyForQuery (H51).  last_index and last_term say where this log
-- matches the leader's after the call, or, on log_gap and log_conflict, where to try next (H61).
-- What was compacted here is committed, and so in the log of whoever leads: it matches unseen.
--
-- Users wait for it: a sender that is in order is known by the query that waits for its turn, and mostly entries go on
-- where the log ends.
create or replace function peer.append_entries(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_term bigint,
  p_prev_index bigint, p_prev_term bigint, p_entries jsonb, p_commit bigint
) returns table (term bigint, success boolean, reason text, last_index bigint, last_term bigint,
                 applied_index bigint)
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state raft.hard_state;
  v_match bigint;
  v_at    bigint;
begin
  select s.* into v_state
    from raft.hard_state as s, node.identity as i, cluster.member as m
   where i.cluster_id = p_cluster
     and m.node_id = p_from and m.incarnation = p_incarnation
     and (session_user = 'pgreplica_node_' || p_from
          or (select r.rolsuper from pg_catalog.pg_authid as r where r.rolname = session_user))
     for update of s;
  if not found then
    perform raft.check_leader(p_cluster, p_from, p_incarnation);
    select * into strict v_state from raft.hard_state for update;
  end if;
  if jsonb_array_length(p_entries) > 512 or pg_column_size(p_entries) > 8388608 then
    perform raft.raise_too_much(p_from, format('%s entries of %s bytes',
      jsonb_array_length(p_entries), pg_column_size(p_entries)), '512 entries and 8388608 bytes');
  end if;
  if current_setting('synchronous_commit') <> 'on' then
    perform set_config('synchronous_commit', 'on', true);
  end if;

  if p_term < v_state.current_term then
    return query select v_state.current_term, false, 'stale_term',
                        v_state.last_index, v_state.last_term, v_state.applied_index;
    return;
  end if;
  if v_state.current_term = p_term and v_state.leader_id = p_from then
    perform nextval('raft.heard');
  else
    v_state := raft.accept_leader(p_term, p_from);
  end if;

  v_at := case when p_prev_index = v_state.last_index then v_state.last_term else raft.term_at(p_prev_index) end;
  if p_prev_index >= v_state.snapshot_index and v_at is distinct from p_prev_term then
    -- Where to try next: our end, or just before the whole of the term that differs.
    select coalesce(max(l.index), v_state.snapshot_index) into v_match
      from raft.log as l
     where l.index < p_prev_index and (v_at is null or l.term < v_at);
    return query select p_term, false, 'log_conflict', v_match, raft.term_at(v_match),
                        v_state.applied_index;
    return;
  end if;

  v_match := greatest(p_prev_index + jsonb_array_length(p_entries), v_state.snapshot_index);
  if p_entries <> '[]' then
    perform raft.store_entries(p_entries);
  end if;
  perform raft.learn_commit(least(p_commit, v_match));
  select * into v_state from raft.hard_state;
  return query select p_term, true, 'appended', v_match,
                      case when v_match = v_state.last_index then v_state.last_term else raft.term_at(v_match) end,
                      v_state.applied_index;
end
$$;
