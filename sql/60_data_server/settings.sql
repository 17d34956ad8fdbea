-- What the whole cluster is set to, from the control store of this node.
create or replace function pg_replica.settings() returns table (
  name text, value text, unit text, default_value text, pending_restart boolean, description text
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('settings', '{}')) as r (
    name text, value text, unit text, default_value text, pending_restart boolean, description text);
$$;
comment on function pg_replica.settings() is
  'What the whole cluster is set to, by pg_replica.set() and reset(). It holds on every node at once.';

create or replace view pg_replica.settings as select * from pg_replica.settings();
comment on view pg_replica.settings is 'pg_replica.settings() as a view.';
comment on column pg_replica.settings.name is 'Its name.';
comment on column pg_replica.settings.value is 'What it is now.';
comment on column pg_replica.settings.unit is 'What is counted.';
comment on column pg_replica.settings.default_value is 'What it is while nobody has set it.';
comment on column pg_replica.settings.pending_restart is 'Whether it waits for a restart: none does.';
comment on column pg_replica.settings.description is 'What it does.';
