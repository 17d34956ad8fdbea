-- Go through this store's part in a failover, in this session, and undo all of it.
--
-- What a session calls for the first time is compiled and planned then, and that takes several times as long as the
-- call itself: in a failover each step would wait for it.  Returns the state of the imagined epoch, `serving` when
-- all was gone through, or why not.
--
-- Nothing stays: the block ends with an exception, whatever comes of it.  The liveness counter, which no exception
-- brings back, is not moved (H54): append and heartbeat are called with a term that is over, and what an append does is
-- done beside it.  While the leader is silent nothing is rehearsed: an election would wait for the lock.
create or replace function peer.rehearse(p_cluster uuid, p_from integer, p_incarnation uuid) returns text
language plpgsql volatile security definer set search_path = '' as $$
declare
  c_client constant uuid := '00000000-0000-0000-0000-000000000000';
  v_state  raft.hard_state;
  v_epoch  cluster.epoch;
  v_steps  jsonb;
  v_term   bigint;
  v_said   text;
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  select * into v_state from raft.hard_state for update skip locked;
  if not found or v_state.applied_index <> v_state.last_index or raft.is_silent() then
    return 'not now';
  end if;
  v_epoch := cluster.newest_epoch();
  v_term := v_state.current_term + 1;
  select jsonb_agg(jsonb_build_object(
           'i', v_state.last_index + s.n, 't', v_term, 'k', s.kind, 'c', c_client, 's', s.n,
           'b', s.body || jsonb_build_object('at', clock_timestamp(), 'epoch', v_epoch.epoch + 1, 'reason', ''))
           order by s.n)
    into v_steps
    from (values
      (1, 'open_epoch', jsonb_build_object('cause', 'rehearsal')),
      (2, 'appoint', jsonb_build_object('node_id', p_from, 'timeline', 2147483647, 'from_epoch', v_epoch.epoch,
                                        'from_lsn', '0/0')),
      (3, 'promoted', jsonb_build_object('switch_lsn', '0/0', 'stamp_lsn', '0/0')),
      (4, 'serving', jsonb_build_object('write_gap_ms', 0))
    ) as s (n, kind, body);
  begin
    perform from peer.pre_vote(p_cluster, p_from, p_incarnation, v_term, v_state.last_term, v_state.last_index,
                               null, null);
    perform from peer.request_vote(p_cluster, p_from, p_incarnation, v_term, v_state.last_term, v_state.last_index,
                                   null, null, true);
    perform from peer.append_entries(p_cluster, p_from, p_incarnation, 0, v_state.last_index, v_state.last_term,
                                     jsonb_build_array(v_steps -> 0), 0);
    perform from peer.heartbeat(p_cluster, p_from, p_incarnation, 0);
    for v_step in 0 .. 3 loop
      perform raft.store_entries(jsonb_build_array(v_steps -> v_step));
      perform raft.learn_commit(v_state.last_index + v_step + 1);
    end loop;
    perform from peer.report(p_cluster, p_from, p_incarnation, v_epoch.epoch + 1);
    v_said := (cluster.newest_epoch()).state;
    raise exception 'undone';
  exception
    when raise_exception then null;
    when others then v_said := sqlerrm;
  end;
  return v_said;
end
$$;
