-- One row for each member: the own one exact, the others as they were last heard of.
create or replace function node.pgraft_status() returns jsonb
language sql stable set search_path = '', pg_temp as $$
  select jsonb_agg(r.one order by r.node_id) from (select m.node_id, jsonb_build_object(
           'node_id', m.node_id, 'address', m.control_host, 'port', m.control_port,
           'is_leader', m.node_id = l.id,
           'state', case when not s.self and s.age_ms >= 2 * t.election_ms then 'Unknown'
                         when m.node_id = l.id                              then 'Leader'
                         when not m.voter                                   then 'Learner'
                         when l.id <> 0                                     then 'Follower'
                         when s.self                                        then 'Candidate'
                         else initcap(replace(o.raft_role, 'leader', 'follower')) end,
           'term', s.term, 'current_term', s.term, 'leader_id', l.id,
           'commit_index', case when s.self then h.commit_index else (o.raft ->> 'commit')::bigint end,
           'last_log_index', case when s.self then h.last_index else (o.raft ->> 'last')::bigint end,
           'last_heartbeat', node.pgraft_age(s.heard_ms), 'last_heartbeat_ms', s.heard_ms,
           'num_nodes', count(*) over (),
           'messages_processed', (s.counts ->> 'messages')::bigint,
           'heartbeats_sent', (s.counts ->> 'heartbeats')::bigint,
           'elections_triggered', (s.counts ->> 'elections')::bigint,
           'is_voter', m.voter, 'is_self', s.self,
           'observed_at', case when s.self then raft.now() else o.observed_at end) as one
    from cluster.member as m
   cross join raft.hard_state as h
   cross join node.identity as i
   cross join node.told as t
   cross join node.pgraft_leader() as l (id)
    left join node.observed as o on o.node_id = m.node_id
    left join lateral (
      select t.ago_ms + (p ->> 'age_ms')::integer
        from jsonb_array_elements(t.told -> 'peers') as p where (p ->> 'node_id')::integer = m.node_id) as a (ms) on true
   cross join lateral (
     select m.node_id = i.node_id,
            least(extract(epoch from raft.now() - o.observed_at) * 1000, 2e9)::integer) as g (self, age_ms)
   cross join lateral (
     select g.self, g.age_ms,
            case when g.self then h.current_term else (o.raft ->> 'term')::bigint end,
            case when g.self then node.counts() else o.raft end,
            case when g.self and l.id = i.node_id then t.round_ms
                 when g.self                      then 0
                 when l.id = i.node_id            then coalesce(a.ms, g.age_ms)
                 when m.node_id = l.id            then t.quiet_ms
                 else g.age_ms end) as s (self, age_ms, term, counts, heard_ms)) as r;
$$;
