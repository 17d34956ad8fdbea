--! Previous: -
--! Hash: sha256:567a692f82ccea865ff32f013a9e2543cc106954c7db8e11294204656788b17c
--! Message: what is installed here: the installer's own books
create schema pgreplica;

-- Migrations that ran, each with the hash that its file had.
create table pgreplica.migration (
  target       text        not null check (target in ('control', 'data')),
  name         text        not null,
  hash         text        not null,
  installed_at timestamptz not null default clock_timestamp(),
  primary key (target, name)
);

-- Files of functions and views, as they were last applied.
create table pgreplica.sql_file (
  target text not null check (target in ('control', 'data')),
  path   text not null,
  hash   text not null,
  primary key (target, path)
);

-- What those files made: a hash over the catalog, so that lost or altered functions are noticed.
create table pgreplica.catalog (
  target      text primary key check (target in ('control', 'data')),
  fingerprint text not null
);
