-- Waits until this node has applied an entry.
create or replace function public.pgraft_log_apply(index bigint) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_read('log_apply', jsonb_build_object('index', index))::boolean;
$$;
comment on function public.pgraft_log_apply(bigint) is
  'Waits until this node has applied an entry. RF007 when it has not in time.';
