-- members() as a view.
create or replace view pg_replica.members as select * from pg_replica.members();
comment on view pg_replica.members is 'pg_replica.members() as a view.';
comment on column pg_replica.members.node_id is 'The member''s number.';
comment on column pg_replica.members.name is 'The member''s name.';
comment on column pg_replica.members.host is 'Where clients reach its data server; null for a witness.';
comment on column pg_replica.members.port is 'Port of its data server.';
comment on column pg_replica.members.control_host is 'Where other members reach its control store.';
comment on column pg_replica.members.control_port is 'Port of its control store.';
comment on column pg_replica.members.voter is 'Counts for the majority of Raft.';
comment on column pg_replica.members.promotable is 'May become primary.';
comment on column pg_replica.members.priority is 'Among equally good candidates the highest is promoted.';
comment on column pg_replica.members.sync is 'The commit rule speaks of it.';
comment on column pg_replica.members.state is 'initial: named in the configuration; registered: it has spoken; attached: it has streamed or been primary.';
comment on column pg_replica.members.joined_at is 'When it first spoke.';
comment on column pg_replica.members.clone_from is 'While it is a standby, others copy their data from it rather than from the primary.';
