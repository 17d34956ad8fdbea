--! Previous: sha256:0d61cb3d81629b3e6e90306223dfde91a21a6ae00a333561deba23a28ff7911e
--! Hash: sha256:574ce154874d8b9825cc85c9d6bd9ba7158271d774d64737af6ff3bffcb68051
--! Message: where pg-replica/client finds out what became of a commit whose answer was lost

-- As sql/client/outcome.sql, which makes it in other databases and on other servers: it may be here already.
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
