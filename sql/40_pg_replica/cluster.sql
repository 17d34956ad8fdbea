-- The cluster as a whole, in one row.
create or replace function pg_replica.cluster() returns table (
  cluster_id text, system_identifier text, leader_id integer, primary_id integer, term bigint,
  epoch bigint, members integer, voters integer, quorum integer, has_quorum boolean,
  writable boolean, commit_rule text, failover text, failover_reason text, paused boolean
)
language sql volatile security definer set search_path = '', pg_temp set jit = off as $$
  select i.cluster_id::text, c.system_identifier, l.leader_id,
         (select p.node_id from pg_replica.primary() as p),
         h.current_term, coalesce(e.epoch, 0), m.members, m.voters, m.voters / 2 + 1,
         l.leader_id is not null, m.writable, cluster.standby_names(), v.failover, v.why,
         c.paused_why is not null
    from node.identity as i
   cross join cluster.state as c
   cross join raft.hard_state as h
   cross join cluster.newest_epoch() as e
   cross join node.leader_heard() as l (leader_id)
   cross join node.failover_verdict as v
   cross join (
     select count(*)::integer, (count(*) filter (where s.voter))::integer, coalesce(bool_or(s.writable), false)
       from node.seen as s) as m (members, voters, writable);
$$;
comment on function pg_replica.cluster() is
  'One row: who leads, who is primary, what a commit needs, and whether a failover could succeed now. Answered from what this node knows, without asking anyone.';

create or replace view pg_replica.cluster as select * from pg_replica.cluster();
comment on view pg_replica.cluster is 'pg_replica.cluster() as a view.';
comment on column pg_replica.cluster.cluster_id is 'Derived from the cluster''s name and its initial members.';
comment on column pg_replica.cluster.system_identifier is 'PostgreSQL''s own, of the data; null before the first primary.';
comment on column pg_replica.cluster.leader_id is 'The Raft leader, if it was heard within three seconds.';
comment on column pg_replica.cluster.primary_id is 'The primary; null while there is none.';
comment on column pg_replica.cluster.term is 'Raft term this node knows.';
comment on column pg_replica.cluster.epoch is 'Number of the newest primary decision; 0 before the first.';
comment on column pg_replica.cluster.members is 'Members, witnesses included.';
comment on column pg_replica.cluster.voters is 'Members that vote.';
comment on column pg_replica.cluster.quorum is 'Voters that must agree: a majority.';
comment on column pg_replica.cluster.has_quorum is 'This node heard of a leader, which a majority follows, within three seconds.';
comment on column pg_replica.cluster.writable is 'Some member takes writes now.';
comment on column pg_replica.cluster.commit_rule is 'synchronous_standby_names as it must be; empty while commits wait for nobody.';
comment on column pg_replica.cluster.failover is 'ready, or blocked: could the primary be lost now and replaced?';
comment on column pg_replica.cluster.failover_reason is 'Why, in one sentence.';
comment on column pg_replica.cluster.paused is 'No automatic failover until pg_replica.resume().';
