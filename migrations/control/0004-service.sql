--! Previous: sha256:8eea3a7d82ab2692b1fa7e7b4ad8d6c6a316a99703745f6119126a8566f35f12
--! Hash: sha256:5f72cf89d262b359f9043fdf760dd1d2546fe29cd5066f673671bdf04dfbd4ff
--! Message: the log as a service: what users put into it, and their keys and values

-- What pg_replica.replicate committed.  One entry of the log holds one item or, from the batch form, several.
create table cluster.entry (
  index      bigint  not null check (index > 0),  -- its place in the log
  item       integer not null check (item > 0),   -- its place in the batch
  term       bigint  not null,
  data       text    not null,
  request_id text,                                -- under which the caller may ask again (H60)
  node_id    integer not null,                    -- asked there
  at         timestamptz not null,
  primary key (index, item)
);

-- Every version of every key since the last compaction; a version is the log index of the change.
create table cluster.kv (
  key             text   collate "C" not null check (octet_length(key) between 1 and 255),
  version         bigint not null check (version > 0),
  value           text,                           -- null: deleted
  created_version bigint not null,                -- first version since the key was last absent
  replaced_by     bigint,                         -- the version after it; null: the newest
  at              timestamptz not null,
  primary key (key, version)
);
create unique index a_key_has_one_newest_version on cluster.kv (key) where replaced_by is null;

create table cluster.kv_total (
  singleton         boolean primary key default true check (singleton),
  puts              bigint  not null default 0,
  deletes           bigint  not null default 0,
  compacted_version bigint  not null default 0    -- older versions and deleted keys are gone up to here
) with (fillfactor = 10);                         -- heap-only updates of a one-row table (H64)
insert into cluster.kv_total default values;

-- How often keys were read here behind a barrier; for display only.
create unlogged sequence node.kv_gets;
