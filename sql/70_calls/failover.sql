-- Replace the primary now.
create or replace function pg_replica.failover(
  target text default null, allow_data_loss boolean default false, wait_ms integer default 30000,
  out request_id bigint, out kind text, out state text, out from_node integer, out to_node integer,
  out epoch bigint, out reason text, out requested_by text, out requested_at timestamptz,
  out finished_at timestamptz, out write_gap_ms integer
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_populate_record(null::pg_replica.requests, pgreplica.request('failover',
    jsonb_build_object('target', target, 'allow_data_loss', allow_data_loss, 'wait_ms', wait_ms))) as r;
$$;
comment on function pg_replica.failover(text, boolean, integer) is
  'Replaces the primary now, and waits for the result at most wait_ms milliseconds. With a healthy primary it is a switchover; otherwise it promotes at once instead of waiting for time limits. target is a member''s name or number, null the best candidate. Errors: RF002 no leader or no quorum, RF006 no such member, RF010 no candidate, not promotable or paused, RF011 acknowledged commits would be lost and allow_data_loss is off. Typed on a data server whose sessions it ends, it answers at once; its NOTICE says where to watch.';

create or replace function pg_replica.failover(
  target integer, allow_data_loss boolean default false, wait_ms integer default 30000,
  out request_id bigint, out kind text, out state text, out from_node integer, out to_node integer,
  out epoch bigint, out reason text, out requested_by text, out requested_at timestamptz,
  out finished_at timestamptz, out write_gap_ms integer
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_populate_record(null::pg_replica.requests, pgreplica.request('failover',
    jsonb_build_object('target', target, 'allow_data_loss', allow_data_loss, 'wait_ms', wait_ms))) as r;
$$;
comment on function pg_replica.failover(integer, boolean, integer) is
  'Replaces the primary now, and waits for the result at most wait_ms milliseconds. With a healthy primary it is a switchover; otherwise it promotes at once instead of waiting for time limits. target is a member''s name or number, null the best candidate. Errors: RF002 no leader or no quorum, RF006 no such member, RF010 no candidate, not promotable or paused, RF011 acknowledged commits would be lost and allow_data_loss is off. Typed on a data server whose sessions it ends, it answers at once; its NOTICE says where to watch.';
