-- The apply handler of this server, and what stands in its way.
create or replace view public.pgraft_apply_handler as
select h.handler, h.set_by, h.index as applied_index, h.item as applied_item, h.applied_at, h.failures, h.error,
       h.failed_at
  from pgreplica.apply_handler as h;
comment on view public.pgraft_apply_handler is
  'The function that this server calls for every user entry: how far it has come, and the error it waits at.';
