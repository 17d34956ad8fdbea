-- Whether this node leads.
create or replace function public.pgraft_is_leader() returns boolean
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('is_leader')::boolean;
$$;
comment on function public.pgraft_is_leader() is
  'Whether this node leads: a majority has confirmed it within the election timeout. Advice; each write is checked again.';
