-- Slots from which nobody streams and which keep WAL: what fills a disk.  A lost slot keeps nothing, for ever.
create or replace view pg_replica.inactive_slots as
  select s.slot_name, s.active, s.retained_wal, s.retained_wal_bytes, s.inactive_for, s.owner
    from pg_replica.slots as s
   where not s.active and s.wal_status is distinct from 'lost';
comment on view pg_replica.inactive_slots is
  'Slots from which nobody streams, lost ones left out: they keep WAL until the disk is full or a limit is met. On a standby members'' slots are inactive by design.';
comment on column pg_replica.inactive_slots.slot_name is 'The slot''s name.';
comment on column pg_replica.inactive_slots.active is 'Always false.';
comment on column pg_replica.inactive_slots.retained_wal is 'WAL it keeps, for people.';
comment on column pg_replica.inactive_slots.retained_wal_bytes is 'WAL it keeps, in bytes.';
comment on column pg_replica.inactive_slots.inactive_for is 'Since somebody streamed from it last; null before PostgreSQL 17.';
comment on column pg_replica.inactive_slots.owner is 'member: pg_replica made it for a member. other: somebody else''s.';
