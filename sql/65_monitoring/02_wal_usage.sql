-- What WAL takes on the disk, and how long that can go on.
create or replace view pg_replica.wal_usage as
  select pg_size_pretty(w.bytes) as wal_size,
         w.bytes as wal_bytes,
         w.files as wal_files,
         pg_size_bytes(current_setting('max_wal_size')) as max_wal_size_bytes,
         (select count(*) from pg_ls_archive_statusdir() as a where a.name like '%.ready') as archive_ready,
         (g.gauges ->> 'free_bytes')::bigint as disk_free_bytes,
         make_interval(secs => (g.gauges ->> 'full_in_s')::double precision) as full_in
    from (select coalesce(sum(l.size), 0) as bytes, count(*) filter (where l.name ~ '^[0-9A-F]{24}$') as files
            from pg_ls_waldir() as l) as w
   cross join (select pgreplica.gauges() as gauges) as g;
comment on view pg_replica.wal_usage is
  'One row: what pg_wal takes, what waits to be archived, and how long the disk lasts.';
comment on column pg_replica.wal_usage.wal_size is 'All of pg_wal, for people.';
comment on column pg_replica.wal_usage.wal_bytes is 'All of pg_wal, in bytes.';
comment on column pg_replica.wal_usage.wal_files is 'WAL segments in it.';
comment on column pg_replica.wal_usage.max_wal_size_bytes is 'What PostgreSQL tries to stay below between checkpoints; slots and a failing archive keep more.';
comment on column pg_replica.wal_usage.archive_ready is 'Segments that wait for archive_command.';
comment on column pg_replica.wal_usage.disk_free_bytes is 'Room left on the volume of pg_wal, seen by this node''s worker within half a minute; else null.';
comment on column pg_replica.wal_usage.full_in is 'When it will be full if it goes on as in the last minute; null while it does not fill, or nothing is known.';
