-- What a node that is to join must know.
create or replace function pg_replica.invitation() returns jsonb
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.call('invitation');
$$;
comment on function pg_replica.invitation() is
  'What pg-replica init --join asks of a member: the cluster, its first members, and who is a member now. No secret is in it.';
