-- Everything that was decided or happened, the same on every node, from the control store of this node.
create or replace function pg_replica.events(after_id bigint default 0, max_rows integer default 1000)
returns table (
  event_id bigint, at timestamptz, term bigint, epoch bigint, node_id integer, event text,
  from_state text, to_state text, reason text, detail jsonb
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('events', jsonb_build_object('after_id', after_id, 'max_rows', max_rows))) as r (
    event_id bigint, at timestamptz, term bigint, epoch bigint, node_id integer, event text,
    from_state text, to_state text, reason text, detail jsonb);
$$;
comment on function pg_replica.events(bigint, integer) is
  'Events after after_id, oldest first, at most max_rows: every decision and what came of it, the same on every node, ids without gaps. 0 begins with the oldest that is kept. RF005: what came right after after_id is forgotten. NOTIFY pg_replica_event and pg_replica_leader say when to look; this is the truth.';
