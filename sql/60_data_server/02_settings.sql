-- The settings of ours as the configuration files have them: no session, role or database may set others.  All at once,
-- since each look reads the files.
--
-- Here as in every function of ours that callers reach: pg_temp stands last in search_path.  Left out it would come
-- first, and a caller's temporary table or type would be taken for PostgreSQL's own, with a superuser's rights.
create or replace function pgreplica.settings() returns jsonb
language sql volatile set search_path = '', pg_temp as $$
  select jsonb_object_agg(f.name, f.setting order by f.seqno)
    from pg_catalog.pg_file_settings as f
   where f.name like 'pgreplica.%' and f.error is null;
$$;
comment on function pgreplica.settings() is
  'The settings of pg_replica as the configuration files of this server have them.';
