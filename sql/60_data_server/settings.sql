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
