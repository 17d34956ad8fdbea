-- Names the function that this server calls for every entry users put into the log.
create or replace function public.pgraft_set_apply_handler(handler regprocedure) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.set_handler(handler, session_user);
$$;
comment on function public.pgraft_set_apply_handler(regprocedure) is
  'Names the function handler(index bigint, term bigint, data text) that this server calls once for every user entry, in order: of a control store on that node, of the data server on the primary. What it does and its place are one transaction. It starts with the first entry, goes on where a former one stopped, and waits at an error (see the view pgraft_apply_handler). It must be a superuser''s, and runs as one. Null: none.';
