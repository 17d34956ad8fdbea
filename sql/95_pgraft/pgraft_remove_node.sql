-- Takes a member out, dead or alive.
create or replace function public.pgraft_remove_node(node_id integer) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('remove_node', jsonb_build_object('node_id', node_id))::boolean;
$$;
comment on function public.pgraft_remove_node(integer) is
  'Takes a member out, dead or alive; what it leads moves off it first. Errors: RF001 not the leader, RF006 no such member, RF008 the rest would have no majority that answers.';
