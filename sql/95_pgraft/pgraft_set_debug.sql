-- Whether this node's worker logs at debug, from within a second to its end.
create or replace function public.pgraft_set_debug(enabled boolean) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_read('set_debug', jsonb_build_object('enabled', enabled))::boolean;
$$;
comment on function public.pgraft_set_debug(boolean) is
  'Whether this node''s worker logs at debug, from within a second to its end; true: accepted.';
