--! Previous: sha256:574ce154874d8b9825cc85c9d6bd9ba7158271d774d64737af6ff3bffcb68051
--! Hash: sha256:44a9d3ad836bdb54acabffa06a14299039dfcb0afc3a36c521497a795d72f6f9
--! Message: the function of users that is called for every entry they put into the log

-- Which function, and how far it has come: written in one transaction with what it does, and replicated with it.
create table pgreplica.apply_handler (
  singleton  boolean primary key default true check (singleton),
  handler    text,                                    -- schema and name; null: none, and the place is kept
  owner      text,                                    -- as whom it runs, or a superuser
  set_by     text    not null,
  index      bigint  not null default 0 check (index >= 0), -- the entry that was taken last
  item       integer not null default 0,              -- and its place in a batch
  applied_at timestamptz,
  failures   integer not null default 0,              -- of the next one, in a row
  error      text,
  failed_at  timestamptz
) with (fillfactor = 10);                             -- heap-only updates of a one-row table (H64)
