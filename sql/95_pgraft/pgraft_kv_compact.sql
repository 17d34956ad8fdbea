-- Forgets deleted keys and replaced versions on all nodes at one place in the log.
create or replace function public.pgraft_kv_compact() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('kv_compact')::boolean;
$$;
comment on function public.pgraft_kv_compact() is
  'Forgets deleted keys and replaced versions on all nodes at one place in the log.';
