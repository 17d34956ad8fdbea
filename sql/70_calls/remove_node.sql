-- A member leaves.
create or replace function pg_replica.remove_node(node text, force boolean default false) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.remove_node(node, force);
$$;
comment on function pg_replica.remove_node(text, boolean) is
  'Takes a member out of the cluster; the primary role and leadership move off it first, and its data server ends. force: it is gone for good and does not answer. True once it is out. Errors: RF002 no leader or no quorum, RF006 no such member, RF007 not within 30 s, and it goes on, RF008 a majority of the voters left does not answer, RF010 it does not answer.';

-- A member leaves.
create or replace function pg_replica.remove_node(node integer, force boolean default false) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.remove_node(node::text, force);
$$;
comment on function pg_replica.remove_node(integer, boolean) is
  'Takes a member out of the cluster; the primary role and leadership move off it first, and its data server ends. force: it is gone for good and does not answer. True once it is out. Errors: RF002 no leader or no quorum, RF006 no such member, RF007 not within 30 s, and it goes on, RF008 a majority of the voters left does not answer, RF010 it does not answer.';
