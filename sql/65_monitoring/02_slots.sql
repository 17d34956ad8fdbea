-- Replication slots, and the WAL each keeps.  Measured from what is replayed on a standby, which may hold slots too;
-- columns of newer versions are read by name, so that the view is the same on all.
create or replace view pg_replica.slots as
  select s.slot_name, s.slot_type, s.active, s.retained as retained_wal_bytes,
         pg_size_pretty(s.retained) as retained_wal,
         s.node_id, s.wal_status, s.safe_wal_size, s.restart_lsn, s.confirmed_flush_lsn, s.xmin, s.catalog_xmin,
         case when not s.active then clock_timestamp() - (s.whole ->> 'inactive_since')::timestamptz end as inactive_for,
         (s.whole ->> 'failover')::boolean as failover,
         (s.whole ->> 'synced')::boolean as synced,
         case when s.node_id is null then 'other' else 'member' end as owner
    from (select l.*, to_jsonb(l) as whole,
                 -- 0 too where nothing is reserved: greatest() passes over null.
                 case when l.wal_status = 'lost' then 0
                      else greatest(pg_wal_lsn_diff(pgreplica.current_lsn(), l.restart_lsn), 0) end as retained,
                 case when l.slot_type = 'physical'
                      then substring(l.slot_name from '^pgreplica_([1-9][0-9]{0,8})$')::integer end as node_id
            from pg_replication_slots as l) as s;
comment on view pg_replica.slots is
  'Replication slots of this server and the WAL each keeps. Members'' slots stand on every member, active only where it streams from.';
comment on column pg_replica.slots.slot_name is 'The slot''s name.';
comment on column pg_replica.slots.slot_type is 'physical or logical.';
comment on column pg_replica.slots.active is 'Somebody streams from it.';
comment on column pg_replica.slots.retained_wal_bytes is 'WAL it keeps, in bytes; 0 for a lost slot, and for one that was never used.';
comment on column pg_replica.slots.retained_wal is 'The same for people.';
comment on column pg_replica.slots.node_id is 'The member it is for; null: not one of pg_replica''s.';
comment on column pg_replica.slots.wal_status is 'reserved, extended, unreserved or lost. A lost slot keeps nothing and never comes back.';
comment on column pg_replica.slots.safe_wal_size is 'Bytes that may be written before it is in danger of being lost; null when there is no limit.';
comment on column pg_replica.slots.restart_lsn is 'The oldest WAL it keeps.';
comment on column pg_replica.slots.confirmed_flush_lsn is 'Logical: what its consumer has confirmed.';
comment on column pg_replica.slots.xmin is 'The oldest transaction whose rows it keeps; none of pg_replica''s slots has one.';
comment on column pg_replica.slots.catalog_xmin is 'The same for catalogs, logical slots only.';
comment on column pg_replica.slots.inactive_for is 'Since somebody streamed from it last; null before PostgreSQL 17, and while active.';
comment on column pg_replica.slots.failover is 'Logical: it is to survive a failover; null before PostgreSQL 17.';
comment on column pg_replica.slots.synced is 'Logical: a copy of the primary''s; null before PostgreSQL 17.';
comment on column pg_replica.slots.owner is 'member: pg_replica made it for a member. other: somebody else''s.';
