--! Previous: sha256:7fe65142e37ea927d2d16d729fe3ed25e010d89c2f28c8ec51a537453cfcb7fa
--! Hash: sha256:ca625bd75849f895c3b900e0616e5576fce26ce509375eecb2b9c974a8cdfcdb
--! Message: reads that go through no log: the leader says where everything committed before them stands

-- Every question takes the next ticket.  Both may vanish in a crash: so have those who asked.
create unlogged sequence raft.read_asked;
create unlogged table raft.read_confirmed (
  singleton boolean primary key default true check (singleton),
  ticket    bigint  not null,       -- questions up to this one are answered
  index     bigint  not null        -- everything committed before they were asked stands here or before
) with (fillfactor = 10);           -- heap-only updates of a one-row table (H64)
