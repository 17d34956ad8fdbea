-- Sessions that may keep notifications from being forgotten, while these fill more than a part of their queue.  A
-- listener takes them between two transactions, and only once its client has read what it was sent before.  Who stays
-- in one state (key) does not get there; which of them listen nobody can tell.
create or replace function node.hindering(p_part double precision)
returns table (key text, pid integer, role text, application text)
language sql volatile set search_path = '' as $$
  select concat_ws(' ', a.pid, a.backend_start, a.xact_start), a.pid, a.usename::text, a.application_name
    from pg_catalog.pg_stat_activity as a
   where (select pg_catalog.pg_notification_queue_usage()) > p_part
     and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
     and (a.xact_start is not null or a.wait_event = 'ClientWrite');
$$;
