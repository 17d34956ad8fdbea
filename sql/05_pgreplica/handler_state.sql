-- Where the apply handler is, and in how many milliseconds it may be tried again; no row: there is none.
create or replace function pgreplica.handler_state() returns table (index bigint, item integer, wait_ms integer)
language sql volatile set search_path = '' as $$
  select h.index, h.item,
         case when h.failures = 0 then 0 else
           least(30000, greatest(0, 100 * 2 ^ least(h.failures, 10)
             - extract(epoch from pg_catalog.clock_timestamp() - h.failed_at) * 1000))::integer end
    from pgreplica.apply_handler as h where h.handler is not null and not pg_catalog.pg_is_in_recovery();
$$;
comment on function pgreplica.handler_state() is 'where the apply handler is';
