-- settings() as a view.
create or replace view pg_replica.settings as select * from pg_replica.settings();
comment on view pg_replica.settings is 'pg_replica.settings() as a view.';
comment on column pg_replica.settings.name is 'Its name.';
comment on column pg_replica.settings.value is 'What it is now.';
comment on column pg_replica.settings.unit is 'What is counted.';
comment on column pg_replica.settings.default_value is 'What it is while nobody has set it.';
comment on column pg_replica.settings.pending_restart is 'Whether it waits for a restart: none does.';
comment on column pg_replica.settings.description is 'What it does.';
