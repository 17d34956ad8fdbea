--! Previous: sha256:5f72cf89d262b359f9043fdf760dd1d2546fe29cd5066f673671bdf04dfbd4ff
--! Hash: sha256:8df8418dbf824cd9854410e93d2e640b3fc464018cc7bf976a074654aaa4da38
--! Message: a log that stays bounded, and snapshots for those it serves no longer

-- The log begins behind this entry.  All up to it is applied, and there as replicated state only (R11).
alter table raft.hard_state
  add column snapshot_index bigint not null default 0,
  add column snapshot_term  bigint not null default 0,
  add column snapshot_hash  bytea  not null default '',
  add constraint only_what_is_applied_is_compacted check (snapshot_index between 0 and applied_index);

create or replace function raft.tg_hard_state__only_forward() returns trigger
language plpgsql set search_path = '' as $$
begin
  assert new.current_term >= old.current_term, 'current_term moved backwards';
  assert new.commit_index >= old.commit_index, 'commit_index moved backwards';
  assert new.applied_index >= old.applied_index, 'applied_index moved backwards';
  assert new.snapshot_index >= old.snapshot_index, 'snapshot_index moved backwards';
  assert new.current_term > old.current_term
      or old.voted_for is null
      or new.voted_for is not distinct from old.voted_for, 'vote changed within a term';
  assert new.current_term > old.current_term
      or old.leader_id is null
      or new.leader_id is not distinct from old.leader_id, 'two leaders in one term';
  return new;
end
$$;

-- The replicated state as one entry left it, taken here to be sent; gone after a crash, and then taken again.
create unlogged table raft.snapshot (
  singleton boolean primary key default true check (singleton),
  id        uuid    not null,
  index     bigint  not null,
  term      bigint  not null,
  hash      bytea   not null,
  parts     integer not null
);
create unlogged table raft.snapshot_part (
  part integer primary key check (part > 0),
  rows jsonb   not null           -- by table: a list of its rows
);

-- What has come of a snapshot that is sent here: changes nothing before all of it is there.
create unlogged table raft.arrived_part (
  id   uuid    not null,
  part integer not null check (part > 0),
  rows jsonb   not null,
  primary key (id, part)
);
