-- Long work under way on this node, from the control store of this node.
create or replace function pg_replica.progress() returns table (
  node_id integer, job text, phase text, done_bytes bigint, total_bytes bigint, started_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('progress')) as r (
    node_id integer, job text, phase text, done_bytes bigint, total_bytes bigint,
    started_at timestamptz);
$$;
comment on function pg_replica.progress() is
  'Long work under way on this node, such as a base backup; no row while there is none.';
