-- What a node that is to join must know.
create or replace function pg_replica.invitation() returns jsonb
language sql stable security definer set search_path = '', pg_temp as $$
  select jsonb_build_object(
           'cluster_id', i.cluster_id, 'cluster', i.cluster_name, 'founders', i.founders,
           'members', (select jsonb_agg(m.node_id order by m.node_id) from cluster.member as m))
    from node.identity as i;
$$;
comment on function pg_replica.invitation() is
  'What pg-replica init --join asks of a member: the cluster, its first members, and who is a member now. No secret is in it.';
