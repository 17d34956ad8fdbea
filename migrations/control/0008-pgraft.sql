--! Previous: sha256:ca625bd75849f895c3b900e0616e5576fce26ce509375eecb2b9c974a8cdfcdb
--! Hash: sha256:6ae99983d8912e988751b7f46ac444cd3de132e793f52c17fc1f2b04793f7e69
--! Message: what the pgraft interface shows: a worker's sign of life, and how far the others' logs are

-- The member's term, last and committed entry, and what its worker has counted, for display only.
alter table node.observed add column raft jsonb;

-- The run of this node's worker that told something last; for display only.
create unlogged table node.worker (
  singleton    boolean     primary key default true check (singleton),
  instance     uuid        not null,               -- this run
  heard        bigint      not null,               -- raft.heard_count() when it began
  beat_at      timestamptz not null,
  heartbeat_ms integer     not null,
  election_ms  integer     not null,
  debug        boolean     not null default false, -- it is to log at debug
  told         jsonb       not null
) with (fillfactor = 10);                          -- heap-only updates of a one-row table (H64)
