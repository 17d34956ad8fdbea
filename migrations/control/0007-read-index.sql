--! Previous: sha256:f50d288d3f606e3b221278b8da6733f80587cb8569ebdb7d4f21e7c5e44303c4
--! Hash: sha256:0ff822817fbcd1ffdba69b7cacfa07189170f00128791efb6c8c40b8ec4187e2
--! Message: reads that go through no log: the leader says where everything committed before them stands

-- Every question takes the next ticket.  Both may vanish in a crash: so have those who asked.
create unlogged sequence raft.read_asked;
create unlogged table raft.read_confirmed (
  singleton boolean primary key default true check (singleton),
  ticket    bigint  not null,       -- questions up to this one are answered
  index     bigint  not null        -- everything committed before they were asked stands here or before
) with (fillfactor = 10);           -- heap-only updates of a one-row table (H64)
