-- Deletes every key on all nodes, as one entry.
create or replace function public.pgraft_kv_reset() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('kv_reset')::boolean;
$$;
comment on function public.pgraft_kv_reset() is
  'Deletes every key on all nodes, as one entry.';
