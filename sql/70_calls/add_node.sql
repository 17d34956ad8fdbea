-- A new member.
create or replace function pg_replica.add_node(
  dsn text, node_id integer default null, name text default null, voter boolean default true,
  priority integer default 100
) returns integer
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('add_node', jsonb_build_object(
    'dsn', dsn, 'node_id', node_id, 'name', name, 'voter', voter, 'priority', priority))::integer;
$$;
comment on function pg_replica.add_node(text, integer, text, boolean, integer) is
  'Makes the node whose control store answers at dsn a member: prepared there with pg-replica init --join. It learns the log, copies the data, then votes, if voter, and counts for commits, all by itself; see progress() and requests(). With the number of a dead member it takes that one''s place. Returns its id as soon as it is a member. Errors: RF002 no leader or no quorum, RF006 nothing of ours answers there, RF008 another cluster''s, or a member that lives, RF010 name or address taken.';
