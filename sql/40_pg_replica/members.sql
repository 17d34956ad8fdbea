-- The committed membership.
create or replace function pg_replica.members() returns table (
  node_id integer, name text, host text, port integer, control_host text, control_port integer,
  voter boolean, promotable boolean, priority integer, sync boolean, state text, joined_at timestamptz,
  clone_from boolean
)
language sql stable security definer set search_path = '', pg_temp as $$
  select m.node_id, m.name, m.data_host, m.data_port, m.control_host, m.control_port, m.voter,
         m.promotable, m.priority, m.node_id = any (coalesce(c.next_cohort, c.rule_cohort)), m.state,
         m.joined_at, m.clone_from
    from cluster.member as m cross join cluster.state as c
   order by m.node_id;
$$;
comment on function pg_replica.members() is 'The committed membership, one row per member.';
