--! Previous: sha256:9092aae835f9801a7c76fce9dbfd420410abc34e7526c14de3bd21ee744a2cdf
--! Hash: sha256:7d028f34a6a5d837c09528025136c64ff1038eb747f2bcaf3141ffe6bc3fe4c8
--! Message: the replicated state machine: members, epochs, commit rule, requests, events

-- One row: facts of the cluster as a whole, and the commit rule (H18).
create table cluster.state (
  singleton         boolean  primary key default true check (singleton),
  system_identifier text,                            -- of the data; set by `found`
  formed            boolean  not null default false, -- every initial data member has attached once
  paused_why        text,                            -- no automatic failover while set
  mode              text     not null default 'quorum' check (mode in ('quorum', 'available', 'async')),
  rule_version      bigint   not null default 0,
  rule_k            integer  not null default 0 check (rule_k >= 0),
  rule_cohort       integer[] not null default '{}', -- data members the rule speaks of, primary included
  next_k            integer,                         -- a change half made: both rules bind until it is committed
  next_cohort       integer[],
  constraint a_half_made_change_is_whole check ((next_k is null) = (next_cohort is null))
);
insert into cluster.state default values;

create table cluster.member (
  node_id      integer primary key check (node_id > 0),
  name         text    not null unique,
  incarnation  uuid,                                 -- null until the node has registered
  data_host    text,
  data_port    integer,                              -- null: a witness, without a data server
  control_host text    not null,
  control_port integer not null,
  voter        boolean not null default true,
  promotable   boolean not null default true,
  priority     integer not null default 100,
  state        text    not null default 'initial' check (state in ('initial', 'registered', 'attached')),
  pg_version   text,
  joined_at    timestamptz
);

-- Lives of a member that ended when its control store was lost: none of them is ever heard again (H56).
create table cluster.former_incarnation (
  node_id     integer not null,
  incarnation uuid    not null,
  primary key (node_id, incarnation)
);

-- Members that `recover` gave up: refused for ever under that incarnation.
create table cluster.given_up (
  node_id     integer primary key,
  name        text not null,
  incarnation uuid,
  at          timestamptz not null,
  reason      text not null
);

-- One row per primary decision: an appointment, its promotion, its gate.
create table cluster.epoch (
  epoch         bigint primary key check (epoch > 0),
  state         text   not null check (state in ('opened', 'appointed', 'promoted', 'serving', 'superseded')),
  cause         text   not null,  -- closed set: founding, data_server_gone, node_gone, node_silent, hung, lease_over, store_gone, no_primary, switchover, failover_request, promotion_failed, recovered
  reason        text   not null,  -- one sentence for people
  term          bigint not null,
  opened_at     timestamptz not null,
  old_primary   integer,
  node_id       integer,          -- the appointed primary
  timeline      integer,          -- planned, never given out twice (H35)
  from_lsn      pg_lsn,           -- the LSN the appointee reported
  from_epoch    bigint,           -- the epoch of the history it reported
  old_fenced    boolean not null default false, -- when it was appointed no earlier primary could be serving any more, proved
  switch_lsn    pg_lsn,           -- where the new timeline really began
  stamp_lsn     pg_lsn,           -- end of the epoch stamp's commit record
  appointed_at  timestamptz,
  serving_at    timestamptz,
  request_id    bigint,
  handover_to   integer,          -- a planned switchover under way on this epoch, to that node
  handover_request bigint,
  write_gap_ms  integer,
  lost_bytes    bigint,
  constraint an_appointed_epoch_has_a_node check (state = 'opened' or state = 'superseded' or (node_id is not null and timeline is not null))
);
create unique index timelines_are_never_given_out_twice on cluster.epoch (timeline) where timeline is not null;

create table cluster.request (
  request_id   bigint primary key,
  key          uuid   not null unique,
  kind         text   not null check (kind in ('failover', 'switchover', 'recover')),
  state        text   not null check (state in ('waiting', 'running', 'done', 'failed', 'unknown')),
  args         jsonb  not null,
  from_node    integer,
  to_node      integer,
  epoch        bigint,
  reason       text,
  sqlstate     text,
  hint         text,
  requested_by text   not null,
  requested_at timestamptz not null,
  finished_at  timestamptz,
  write_gap_ms integer
);

create table cluster.event (
  event_id   bigint primary key,
  at         timestamptz not null,
  term       bigint not null,
  epoch      bigint not null,
  node_id    integer,
  event      text   not null,
  from_state text,
  to_state   text,
  reason     text   not null,
  detail     jsonb  not null default '{}'
);

-- Every proposal once, with the answer a retry gets again (H60).
create table cluster.proposal (
  client    uuid   not null,
  sequence  bigint not null,
  log_index bigint not null,
  outcome   text   not null,   -- 'ok' or the reason it was refused
  primary key (client, sequence)
);
