-- What this node's worker told last, as ages of now; one row, also before its first word.
create or replace view node.told as
select w.instance is not null and t.ago_ms < greatest(1000, 3 * w.heartbeat_ms) as lives,
       w.election_ms, w.told,
       t.ago_ms + (w.told ->> 'round_ms')::integer as round_ms,
       t.ago_ms + (w.told ->> 'quiet_ms')::integer as quiet_ms,
       t.ago_ms
  from (values (true)) as one (row)
  left join node.worker as w on w.singleton
 cross join lateral (
   select least(extract(epoch from raft.now() - w.beat_at) * 1000, 2e9)::integer) as t (ago_ms);
