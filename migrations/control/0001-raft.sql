--! Previous: sha256:567a692f82ccea865ff32f013a9e2543cc106954c7db8e11294204656788b17c
--! Hash: sha256:9092aae835f9801a7c76fce9dbfd420410abc34e7526c14de3bd21ee744a2cdf
--! Message: what one node must never forget, and the roles of the control store
create schema raft;    -- private: this node's consensus state
create schema peer;    -- what other nodes call: the wire protocol
create schema cluster; -- the replicated state machine: a pure function of committed entries
create schema node;    -- what this node alone knows, promises and has seen

create role pgreplica_admin nologin;
create role pgreplica_monitor nologin;
create role pgreplica_peer nologin;
grant pgreplica_monitor to pgreplica_admin;

-- Who this node is.  Written by `pg-replica init`, never changed.
create table node.identity (
  singleton    boolean primary key default true check (singleton),
  node_id      integer not null check (node_id > 0),
  name         text    not null,
  cluster_id   uuid    not null,
  cluster_name text    not null,
  incarnation  uuid    not null,
  -- Made anew after an earlier life, which may have voted and pledged: no voice until the log gives it one (H56).
  reborn       boolean not null default false
);

-- Raft figure 2, "persistent state".  One row, so that every message to a node waits its turn.
create table raft.hard_state (
  singleton     boolean primary key default true check (singleton),
  current_term  bigint  not null default 0 check (current_term >= 0),
  voted_for     integer,
  leader_id     integer,            -- who sent us an append in current_term
  commit_index  bigint  not null default 0 check (commit_index >= 0),
  applied_index bigint  not null default 0 check (applied_index >= 0),
  last_index    bigint  not null default 0 check (last_index >= 0),
  last_term     bigint  not null default 0 check (last_term >= 0),
  alarm         text,               -- why apply has stopped at applied_index; null while it runs
  constraint applied_is_at_most_committed check (applied_index <= commit_index),
  constraint committed_is_at_most_last    check (commit_index <= last_index)
) with (fillfactor = 10);           -- heap-only updates of a one-row table (H64)
insert into raft.hard_state default values;

create function raft.tg_hard_state__only_forward() returns trigger
language plpgsql set search_path = '' as $$
begin
  assert new.current_term >= old.current_term, 'current_term moved backwards';
  assert new.commit_index >= old.commit_index, 'commit_index moved backwards';
  assert new.applied_index >= old.applied_index, 'applied_index moved backwards';
  assert new.current_term > old.current_term
      or old.voted_for is null
      or new.voted_for is not distinct from old.voted_for, 'vote changed within a term';
  assert new.current_term > old.current_term
      or old.leader_id is null
      or new.leader_id is not distinct from old.leader_id, 'two leaders in one term';
  return new;
end
$$;
create trigger only_forward before update on raft.hard_state
  for each row execute function raft.tg_hard_state__only_forward();

-- The log.  hash chains every entry to the one before it (H57).
create table raft.log (
  index    bigint primary key check (index > 0),
  term     bigint not null check (term > 0),
  kind     text   not null,
  client   uuid   not null,         -- (client, sequence) names a proposal for ever (H60)
  sequence bigint not null,
  body     jsonb  not null,
  hash     bytea  not null
);

-- Liveness: may vanish in a crash, and then counts as "heard just now".
create unlogged sequence raft.heard;
create unlogged table raft.silence (
  singleton boolean primary key default true check (singleton),
  boot_id   text    not null,
  heard     bigint  not null
);

-- The primary's lease passes through here while this node leads: the nonce asked last, the nonce confirmed last.
create unlogged sequence raft.lease_asked;
create unlogged sequence raft.lease_echo;

-- A leader asked this node to campaign at once, in the term after this one.
create unlogged table raft.transfer (
  singleton boolean primary key default true check (singleton),
  term      bigint not null
);

-- Proposals handed to this node's worker by SQL callers; lost in a crash, which callers see as unknown.
create unlogged table raft.inbox (
  id       bigint generated always as identity primary key,
  client   uuid   not null,
  sequence bigint not null,
  kind     text   not null,
  body     jsonb  not null,
  unique (client, sequence)
);
