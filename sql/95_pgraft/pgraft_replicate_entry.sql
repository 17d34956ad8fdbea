-- Commits data as one user entry.
create or replace function public.pgraft_replicate_entry(data text, request_id text default null) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('replicate_entry', jsonb_build_object(
    'data', jsonb_build_array(data), 'request_id', request_id))::boolean;
$$;
comment on function public.pgraft_replicate_entry(text, text) is
  'Commits data as one user entry. The same request_id commits once.';
