-- The schema pg_replica: the users' word for us.  PostgreSQL reserves names that begin with pg_ unless
-- a superuser says otherwise, which this does for one statement.  Only functions and views may live in it:
-- pg_upgrade dies on a table there, pg_dump leaves the schema out.
do $$
begin
  if to_regnamespace('pg_replica') is null then
    perform set_config('allow_system_table_mods', 'on', true);
    create schema pg_replica;
    perform set_config('allow_system_table_mods', 'off', true);
  end if;
end
$$;
comment on schema pg_replica is 'pg_replica: functions and views to see and steer the cluster';
