-- The commit rule this node's worker has written for this server: what is in force unless something outranks its file.
create or replace function pgreplica.wanted_standby_names() returns text
language sql volatile security definer set search_path = '', pg_temp as $$
  select f.setting from pg_catalog.pg_file_settings as f
   where f.name = 'synchronous_standby_names' and f.sourcefile like '%/pgreplica.conf'
   order by f.seqno desc limit 1;
$$;
comment on function pgreplica.wanted_standby_names() is
  'synchronous_standby_names as the worker of this node wants it; null where it has written none.';
