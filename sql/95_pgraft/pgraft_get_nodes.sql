-- The committed membership, as a view and as a function.
--
-- A grant on one of them is enough by itself.  Functions inside a view are checked against who reads it: this one
-- anybody may execute, in a schema where nobody can name it.
create or replace view public.pgraft_get_nodes as select * from pgreplica.pgraft_nodes();
comment on view public.pgraft_get_nodes is 'pgraft_get_nodes() as a view.';

create or replace function public.pgraft_get_nodes() returns table (
  node_id integer, address text, port integer, is_leader boolean, name text, is_voter boolean, is_self boolean,
  reachable boolean
)
language sql stable security definer set search_path = '', pg_temp as $$
  select * from public.pgraft_get_nodes;
$$;
comment on function public.pgraft_get_nodes() is
  'The committed membership, ordered by node_id: the same on all nodes but for is_self and reachable.';
