-- A setting of ours as the configuration files have it: no session, role or database may set another.
--
-- Here as in every function of ours that callers reach: pg_temp stands last in search_path.  Left out it would come
-- first, and a caller's temporary table or type would be taken for PostgreSQL's own, with a superuser's rights.
create or replace function pgreplica.setting(p_name text) returns text
language sql volatile set search_path = '', pg_temp as $$
  select f.setting from pg_catalog.pg_file_settings as f
   where f.name = p_name and f.error is null
   order by f.seqno desc limit 1;
$$;
comment on function pgreplica.setting(text) is
  'A setting of pg_replica as the configuration files of this server have it.';
