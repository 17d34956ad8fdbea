-- Waits until this node has applied everything committed before the call.
create or replace function public.pgraft_log_sync_with_leader() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_read('log_sync_with_leader')::boolean;
$$;
comment on function public.pgraft_log_sync_with_leader() is
  'Waits until this node has applied everything committed before the call.';
