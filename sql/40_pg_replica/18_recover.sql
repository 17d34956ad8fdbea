-- Go on alone on this node: the log here becomes the cluster's, whatever the others had (H49).
--
-- Refused while a leader is heard.  Everything in this node's log counts as committed; then one entry, in a term of its
-- own, takes the others out.  It is appended and applied here, in one transaction: there is nobody to ask.
create or replace function node.recover(p_args jsonb, p_by text) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_me      node.identity;
  v_state   raft.hard_state;
  v_key     uuid := gen_random_uuid();
  v_known   jsonb;
  v_own     pg_lsn;
  v_outcome text;
  v_row     cluster.request;
begin
  if not coalesce((p_args ->> 'force')::boolean, false) then
    raise exception using errcode = 'RF011',
      message = 'recover() gives up every other member, and what only they hold',
      hint = 'If they are gone for good: select * from pg_replica.recover(force => true, reason => ''…'');';
  elsif coalesce(trim(p_args ->> 'reason'), '') = '' then
    raise exception using errcode = 'invalid_parameter_value', message = 'recover() needs a reason',
      hint = 'It is recorded: reason => ''both other hosts burnt down''.';
  end if;
  perform set_config('synchronous_commit', 'on', true);
  select * into strict v_me from node.identity;
  select * into strict v_state from raft.hard_state for update;
  if node.leader_heard() is not null then
    raise exception using errcode = 'RF010',
      message = format('node %s leads: a majority answers, there is nothing to recover', node.leader_heard()),
      hint = 'pg_replica.failover() replaces a lost primary; see pg_replica.cluster().';
  end if;
  select o.wal_lsn into v_own from node.observed as o where o.node_id = v_me.node_id;
  select jsonb_agg(jsonb_build_object('node_id', m.node_id, 'name', m.name, 'wal_lsn', o.wal_lsn,
                                      'seen', o.observed_at) order by m.node_id)
    into v_known
    from cluster.member as m left join node.observed as o on o.node_id = m.node_id
   where m.node_id <> v_me.node_id;
  update raft.hard_state
     set current_term = current_term + 1, voted_for = v_me.node_id, leader_id = null
  returning * into v_state;
  perform raft.store_entries(jsonb_build_array(jsonb_build_object(
    'i', v_state.last_index + 1, 't', v_state.current_term, 'k', 'recover', 'c', v_key, 's', 1,
    'b', jsonb_build_object(
      'at', raft.now(), 'key', v_key, 'node_id', v_me.node_id, 'by', p_by, 'reason', p_args ->> 'reason',
      'known', coalesce(v_known, '[]'),
      -- What the others were last known to hold, and this node does not.
      'lost_bytes', (select greatest(0, max((k ->> 'wal_lsn')::pg_lsn - v_own))::bigint
                       from jsonb_array_elements(v_known) as k)))));
  perform raft.learn_commit(v_state.last_index + 1);
  select p.outcome into v_outcome from cluster.proposal as p where p.client = v_key;
  if v_outcome is distinct from 'ok' then
    raise exception using errcode = 'RF010',
      message = format('this node cannot go on alone: %s', coalesce(v_outcome, (select alarm from raft.hard_state))),
      hint = case when v_outcome = 'not_founded'
        then 'This control store knows of no cluster. A member whose store was not lost can; where there is none, '
          'found a new cluster with the best data directory: pg-replica init --keep-data.'
        else 'See pg_replica.explain() on this node.' end;
  end if;
  perform pg_notify('pg_replica_wake', 'recovered');
  select * into strict v_row from cluster.request as r where r.key = v_key;
  return to_jsonb(v_row);
end
$$;
