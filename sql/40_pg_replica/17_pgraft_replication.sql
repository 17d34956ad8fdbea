-- How far the log of each other member is known to match, as the leader's worker told; null elsewhere.
create or replace function node.pgraft_replication() returns jsonb
language sql stable set search_path = '', pg_temp as $$
  select jsonb_agg(jsonb_build_object(
           'node_id', m.node_id, 'match_index', (p ->> 'match')::bigint, 'next_index', (p ->> 'next')::bigint,
           'is_replicating', t.ago_ms + (p ->> 'age_ms')::integer < 2 * t.election_ms,
           'last_heartbeat', node.pgraft_age(t.ago_ms + (p ->> 'age_ms')::integer),
           'last_heartbeat_ms', t.ago_ms + (p ->> 'age_ms')::integer,
           'state', p ->> 'state', 'lag_entries', greatest(h.last_index - (p ->> 'match')::bigint, 0),
           'is_voter', m.voter) order by m.node_id)
    from node.told as t
   cross join jsonb_array_elements(t.told -> 'peers') as p
   cross join raft.hard_state as h
   cross join node.identity as i
    join cluster.member as m on m.node_id = (p ->> 'node_id')::integer and m.node_id <> i.node_id
   where node.pgraft_leader() = i.node_id;
$$;
