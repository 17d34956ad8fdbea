-- Commits data as one user entry if term is still the leader's.
create or replace function public.pgraft_log_append(term bigint, data text) returns bigint
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('log_append', jsonb_build_object(
    'term', term::text, 'data', jsonb_build_array(data)))::bigint;
$$;
comment on function public.pgraft_log_append(bigint, text) is
  'Commits data as one user entry if term is still the leader''s; its place in the log.';
