-- primary() as a view.
create or replace view pg_replica.primary as select * from pg_replica.primary();
comment on view pg_replica.primary is 'pg_replica.primary() as a view.';
comment on column pg_replica.primary.node_id is 'The member''s number.';
comment on column pg_replica.primary.name is 'The member''s name.';
comment on column pg_replica.primary.host is 'Where clients reach its data server.';
comment on column pg_replica.primary.port is 'Port of its data server.';
comment on column pg_replica.primary.epoch is 'The epoch it was appointed in.';
comment on column pg_replica.primary.timeline is 'PostgreSQL''s timeline of that epoch.';
comment on column pg_replica.primary.since is 'Since when it takes writes; while it does not yet, since its appointment.';
comment on column pg_replica.primary.writable is 'It takes writes now.';
