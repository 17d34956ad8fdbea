-- A setting of ours as the configuration files have it: no session, role or database may set another.
create or replace function pgreplica.setting(p_name text) returns text
language sql volatile set search_path = '' as $$
  select f.setting from pg_file_settings as f
   where f.name = p_name and f.error is null
   order by f.seqno desc limit 1;
$$;
comment on function pgreplica.setting(text) is
  'A setting of pg_replica as the configuration files of this server have it.';
