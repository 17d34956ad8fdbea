-- Waits until an entry is committed.
create or replace function public.pgraft_log_commit(index bigint) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_read('log_commit', jsonb_build_object('index', index))::boolean;
$$;
comment on function public.pgraft_log_commit(bigint) is
  'Waits until an entry is committed; forces nothing. RF007 when it is not in time.';
