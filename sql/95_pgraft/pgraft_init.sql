-- Whether this node is ready.
create or replace function public.pgraft_init() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_read('init')::boolean;
$$;
comment on function public.pgraft_init() is
  'Whether this node is ready: its settings are checked, and what `pg-replica init` made is there. True also where the node still waits to be added; see pgraft_get_worker_state(). Once or again, the same. Errors: RF012 nothing was made yet, RF013 a durability setting is off, 22023 a setting pgraft.* that is unknown or out of range.';
