-- Move the primary role as planned.
create or replace function pg_replica.switchover(
  target text default null, at timestamptz default null, wait_ms integer default 30000,
  out request_id bigint, out kind text, out state text, out from_node integer, out to_node integer,
  out epoch bigint, out reason text, out requested_by text, out requested_at timestamptz,
  out finished_at timestamptz, out write_gap_ms integer
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_populate_record(null::pg_replica.requests, pgreplica.request('switchover',
    jsonb_build_object('target', target, 'at', at, 'wait_ms', wait_ms))) as r;
$$;
comment on function pg_replica.switchover(text, timestamptz, integer) is
  'Moves the primary role as planned: no acknowledged commit is lost and nothing is rewound, or it fails (RF010) and the old primary goes on. target is a member''s name or number, null the best candidate; at is when, null now. Waits for the result at most wait_ms milliseconds. Errors: RF002 no leader or no quorum, RF006 no such member. Typed on a data server whose sessions it ends, it answers at once; its NOTICE says where to watch.';

create or replace function pg_replica.switchover(
  target integer, at timestamptz default null, wait_ms integer default 30000,
  out request_id bigint, out kind text, out state text, out from_node integer, out to_node integer,
  out epoch bigint, out reason text, out requested_by text, out requested_at timestamptz,
  out finished_at timestamptz, out write_gap_ms integer
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_populate_record(null::pg_replica.requests, pgreplica.request('switchover',
    jsonb_build_object('target', target, 'at', at, 'wait_ms', wait_ms))) as r;
$$;
comment on function pg_replica.switchover(integer, timestamptz, integer) is
  'Moves the primary role as planned: no acknowledged commit is lost and nothing is rewound, or it fails (RF010) and the old primary goes on. target is a member''s name or number, null the best candidate; at is when, null now. Waits for the result at most wait_ms milliseconds. Errors: RF002 no leader or no quorum, RF006 no such member. Typed on a data server whose sessions it ends, it answers at once; its NOTICE says where to watch.';
