-- Long work under way on this node.
create or replace function pg_replica.progress() returns table (
  node_id integer, job text, phase text, done_bytes bigint, total_bytes bigint, started_at timestamptz
)
language sql stable security definer set search_path = '', pg_temp as $$
  select p.node_id, p.job, p.phase, p.done_bytes, p.total_bytes, p.started_at
    from node.progress as p
   order by p.node_id;
$$;
comment on function pg_replica.progress() is
  'Long work under way on this node, such as a base backup; no row while there is none.';
