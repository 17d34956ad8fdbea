-- What users put into the log, in order, by the control store of this node.
create or replace function pg_replica.entries(
  after_index bigint default 0, max_rows integer default 1000
) returns table (
  index bigint, item integer, term bigint, data text, request_id text, proposed_by integer,
  proposed_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('entries', jsonb_build_object(
    'after_index', after_index, 'max_rows', max_rows))) as r (
    index bigint, item integer, term bigint, data text, request_id text, proposed_by integer,
    proposed_at timestamptz);
$$;
comment on function pg_replica.entries(bigint, integer) is
  'What replicate() committed after after_index, in order, as far as this node has applied it: the same on every node. 0 begins with the oldest that is kept. RF005: what came right after after_index is forgotten. Some max_rows rows, and the rest of a batch they end in: the last index seen is where to go on, also after a reconnect. item counts within a batch. NOTIFY pg_replica_entry on the control store says when to look; this is the truth.';
