--! Previous: sha256:567a692f82ccea865ff32f013a9e2543cc106954c7db8e11294204656788b17c
--! Hash: sha256:0d61cb3d81629b3e6e90306223dfde91a21a6ae00a333561deba23a28ff7911e
--! Message: roles and the epoch stamps of the data server

create role pgreplica_admin nologin;
create role pgreplica_monitor nologin;
grant pg_monitor to pgreplica_monitor;
grant pgreplica_monitor to pgreplica_admin;

-- No table may live in schema pg_replica: pg_upgrade dies on it.
-- The first row a primary writes in its epoch; every member replays it (H36).
create table pgreplica.stamp (
  cluster_id uuid    not null,
  epoch      bigint  not null,
  node_id    integer not null,
  timeline   integer not null,
  switch_lsn pg_lsn  not null,
  stamp_id   uuid    not null default gen_random_uuid(),
  stamped_at timestamptz not null default clock_timestamp(),
  primary key (cluster_id, epoch)
);
