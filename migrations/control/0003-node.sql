--! Previous: sha256:7d028f34a6a5d837c09528025136c64ff1038eb747f2bcaf3141ffe6bc3fe4c8
--! Hash: sha256:8eea3a7d82ab2692b1fa7e7b4ad8d6c6a316a99703745f6119126a8566f35f12
--! Message: what this node alone promises and has seen

-- The pledge: take no WAL from, and never promote for, an epoch below this one (H01, H21).
create table node.pledge (
  singleton boolean primary key default true check (singleton),
  epoch     bigint  not null default 0 check (epoch >= 0)
);
insert into node.pledge default values;

-- The newest epoch whose primary this data server was pointed at, or was: written before acting on it.
create table node.followed (
  singleton boolean primary key default true check (singleton),
  epoch     bigint  not null default 0 check (epoch >= 0)
);
insert into node.followed default values;

create function node.tg__epoch_only_forward() returns trigger
language plpgsql set search_path = '' as $$
begin
  assert new.epoch >= old.epoch, tg_table_name || ' moved backwards';
  return new;
end
$$;
create trigger only_forward before update on node.pledge
  for each row execute function node.tg__epoch_only_forward();
create trigger only_forward before update on node.followed
  for each row execute function node.tg__epoch_only_forward();

-- What this pledged member says once nothing can add to its WAL.  Unlogged: after a crash it is proved anew.
create unlogged table node.report (
  epoch         bigint primary key,
  history_epoch bigint not null,  -- newest promoted epoch whose switch LSN this WAL has passed
  lsn           pg_lsn,           -- flushed; null: nothing to offer, and nothing confirmed from that epoch on
  evidence      text   not null
);

-- A primary that was drained and stopped cleanly for a planned switchover: where its WAL ends.
create unlogged table node.handed_over (
  epoch        bigint primary key,
  shutdown_lsn pg_lsn,            -- null: refused or failed, and the primary goes on
  problem      text
);

-- Orders observations of one node; rises over restarts.
create sequence node.beat;

-- What is seen of every member: own row by the own worker, the others by gossip from the leader.
create unlogged table node.observed (
  node_id      integer primary key,
  beat         bigint  not null,     -- rises with every look the worker takes: a standing beat is a dead worker
  role         text    not null check (role in ('primary', 'standby', 'none')),
  state        text    not null check (state in ('running', 'streaming', 'catching_up', 'rewinding', 'cloning', 'starting', 'stopping', 'stopped', 'fenced', 'unreachable')),
  epoch        bigint  not null,     -- the epoch this data server follows or leads
  writable     boolean not null default false,
  gate_open    boolean not null default false,
  timeline     integer,
  wal_lsn      pg_lsn,               -- primary: current; standby: flushed
  replay_lsn   pg_lsn,
  switch_lsn   pg_lsn,               -- primary: where its timeline began
  stamp_lsn    pg_lsn,               -- primary: end of its epoch stamp
  attached     integer[] not null default '{}', -- primary: members streaming from it under their own name
  lag_bytes    bigint,
  lag_ms       bigint,
  sync_state   text,
  rule_in_force text,                -- synchronous_standby_names seen in force
  rule_proved  bigint,               -- the change of the commit rule (its version) that the primary proved in force
  problem      text,                 -- what stands in the way, one sentence; null when nothing does
  system_identifier text,
  gone         boolean not null default false, -- the postmaster has ended; state says fenced once its whole tree is proved gone
  hung         boolean not null default false, -- the process is there and answers nothing
  raft_role    text    not null default 'unknown',
  observed_at  timestamptz not null
);

-- Acts taken without a quorum: proposed as events when there is a leader again.
create table node.act (
  id      bigint generated always as identity primary key,
  key     uuid   not null default gen_random_uuid(), -- proposed once under this name
  at      timestamptz not null,
  event   text   not null,
  reason  text   not null,
  detail  jsonb  not null
);

create unlogged table node.progress (
  node_id     integer primary key,
  job         text   not null,
  phase       text   not null,
  done_bytes  bigint not null,
  total_bytes bigint,
  started_at  timestamptz not null
);

-- How this node logs in to its peers; only the superuser reads it.
create unlogged table node.secret (
  name  text primary key,
  value text not null
);
