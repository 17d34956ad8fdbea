-- The table of idempotency keys of pg-replica/client, in one more database, or on a server without pg_replica:
--   psql -X -v ON_ERROR_STOP=1 --single-transaction -d shop -f sql/client/outcome.sql
-- Then, once for each role that gives keys: grant pgreplica_client to app.  It may run again.
do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'pgreplica_client') then
    create role pgreplica_client nologin;
  end if;
end
$$;

create schema if not exists replica_client;
create table if not exists replica_client.outcome (
  key uuid        primary key,
  at  timestamptz not null default clock_timestamp()
);
grant usage on schema replica_client to pgreplica_client;
grant select, insert, update on replica_client.outcome to pgreplica_client;

comment on schema replica_client is 'what became of commits whose answer was lost, for the clients of pg-replica';
comment on table replica_client.outcome is
  'idempotency keys, each written by the transaction that it names: a key that is here has committed; older than a day it may be deleted';
comment on column replica_client.outcome.key is 'the idempotencyKey that the caller gave';
comment on column replica_client.outcome.at is 'when it was written, or confirmed last';
