-- Does this node coordinate?
create or replace function pg_replica.is_leader() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select coalesce(node.leader_heard() = (select i.node_id from node.identity as i), false);
$$;
comment on function pg_replica.is_leader() is 'Whether this node leads (coordinates).';
