-- Makes the node whose control store answers at address and port a member, prepared there with pg-replica init --join.
create or replace function public.pgraft_add_node(node_id integer, address text, port integer) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('add_node', jsonb_build_object(
    'node_id', node_id, 'address', address, 'port', port))::boolean;
$$;
comment on function public.pgraft_add_node(integer, text, integer) is
  'Makes the node whose control store answers at address and port a member, prepared there with pg-replica init --join; true once it has caught up and votes. The same call again goes on waiting. Errors: RF001 not the leader, RF006 nothing of ours answers there, RF007 it is still catching up and goes on, RF008 the id is another node''s, 22023.';
