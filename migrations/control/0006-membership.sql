--! Previous: sha256:8df8418dbf824cd9854410e93d2e640b3fc464018cc7bf976a074654aaa4da38
--! Hash: sha256:7fe65142e37ea927d2d16d729fe3ed25e010d89c2f28c8ec51a537453cfcb7fa
--! Message: members that come and go by the log: what a newcomer starts from, who is leaving, who has left

-- The first members as this cluster's files named them: a newcomer's log begins at the same state as everybody's.
-- `reborn` is true of every life that the log must admit first: made anew after an earlier one, or a newcomer's.
alter table node.identity add column founders jsonb not null default '[]';

-- Where this node says that it is reached, as its configuration names it.
create table node.address (
  singleton    boolean primary key default true check (singleton),
  control_host text    not null,
  control_port integer not null,
  data_host    text,
  data_port    integer                               -- null: a witness
);

alter table cluster.member
  add column wants_vote boolean not null default true,  -- votes as soon as it has caught up with the log
  add column sync       boolean not null default true,  -- its confirmation may count for commits
  add column leaving    boolean not null default false; -- on its way out: neither promoted nor counted any more

-- Members that are members no more: removed, or given up by `recover`. Refused for ever under that incarnation.
alter table cluster.given_up rename to former_member;

alter table cluster.request
  drop constraint request_kind_check,
  add constraint request_kind_check
    check (kind in ('failover', 'switchover', 'recover', 'add_node', 'remove_node'));
