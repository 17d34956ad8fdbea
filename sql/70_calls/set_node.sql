-- What is wanted of a member.
create or replace function pg_replica.set_node(
  node text, priority integer default null, promotable boolean default null, sync boolean default null,
  clone_from boolean default null
) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('set_node', jsonb_build_object(
    'node', node, 'priority', priority, 'promotable', promotable, 'sync', sync,
    'clone_from', clone_from))::boolean;
$$;
comment on function pg_replica.set_node(text, integer, boolean, boolean, boolean) is
  'Sets what is wanted of a member: priority among equally good candidates, promotable (may become primary), sync (its confirmation may count for commits), clone_from (while it is a standby, others copy their data from it rather than from the primary). Null leaves it as it is. Errors: RF002 no leader or no quorum, RF006 no such member, RF010 a witness is never promoted, nor copied.';

-- What is wanted of a member.
create or replace function pg_replica.set_node(
  node integer, priority integer default null, promotable boolean default null, sync boolean default null,
  clone_from boolean default null
) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('set_node', jsonb_build_object(
    'node', node, 'priority', priority, 'promotable', promotable, 'sync', sync,
    'clone_from', clone_from))::boolean;
$$;
comment on function pg_replica.set_node(integer, integer, boolean, boolean, boolean) is
  'Sets what is wanted of a member: priority among equally good candidates, promotable (may become primary), sync (its confirmation may count for commits), clone_from (while it is a standby, others copy their data from it rather than from the primary). Null leaves it as it is. Errors: RF002 no leader or no quorum, RF006 no such member, RF010 a witness is never promoted, nor copied.';
