-- cluster() as a view.
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
