-- What the whole cluster is set to.
create or replace function pg_replica.settings() returns table (
  name text, value text, unit text, default_value text, pending_restart boolean, description text
)
language sql stable security definer set search_path = '', pg_temp as $$
  select k.name, cluster.setting_value(k.name)::text, k.unit, k.default_value::text, false, k.description
    from cluster.setting_known as k order by k.name;
$$;
comment on function pg_replica.settings() is
  'What the whole cluster is set to, by pg_replica.set() and reset(). It holds on every node at once.';
