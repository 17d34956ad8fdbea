--! Previous: sha256:6ae99983d8912e988751b7f46ac444cd3de132e793f52c17fc1f2b04793f7e69
--! Hash: sha256:76a20cc295440b42591af36c08cbd11725182b50685884b2bfdf996b45b382cd
--! Message: the function of users that is called for every entry they put into the log

-- Which function, and how far it has come: written in one transaction with what it does.
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
