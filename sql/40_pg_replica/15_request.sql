-- Ask the leader for a failover or switchover and wait for its end; the request row, or an error when it failed.
--
-- p_args: target, allow_data_loss, at, wait_ms as in the public functions; server = primary or standby when the
-- caller's session is on this node's data server, and would end with it: then it leaves in time.
create or replace function node.request(p_kind text, p_args jsonb, p_by text) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_key     uuid    := gen_random_uuid();
  v_wait    integer := node.wait_ms(p_args);
  v_target  integer := node.find_member(p_args ->> 'target');
  v_at      timestamptz := (p_args ->> 'at')::timestamptz;
  v_me      integer := (select i.node_id from node.identity as i);
  v_ends    boolean := p_args ->> 'server' = 'primary'
                    or p_args ->> 'server' = 'standby' and v_me = coalesce(v_target, v_me);
  v_outcome text;
  v_row     cluster.request;
  v_looked  timestamptz;
  v_spent   integer := 0;       -- milliseconds
begin
  if not isfinite(v_at) then
    raise exception using errcode = 'invalid_parameter_value', message = format('at is %s', v_at),
      hint = 'Give a moment, or null for now.';
  end if;
  v_outcome := (node.propose(v_key, 'request', jsonb_build_object(
    'key', v_key, 'kind', p_kind, 'by', p_by, 'args', jsonb_build_object(
      'target', v_target, 'allow_data_loss', coalesce((p_args ->> 'allow_data_loss')::boolean, false),
      'not_before', v_at, 'delay_ms', case when v_ends then 150 else 0 end,
      -- Of a switchover for now: void once another epoch has begun, which may be long after nobody could commit it.
      'epoch', case when p_kind = 'switchover' and v_at is null then (cluster.newest_epoch()).epoch end)))).outcome;
  if v_outcome <> 'ok' then
    raise exception using errcode = 'RF010', message = format('the %s was refused: %s', p_kind, v_outcome);
  end if;
  loop
    v_looked := clock_timestamp();
    select * into strict v_row from cluster.request as r where r.key = v_key;
    exit when v_row.state in ('done', 'failed', 'unknown') or v_spent >= v_wait
           or v_ends and node.must_leave(v_row, v_target, p_args ->> 'server', v_spent);
    perform pg_sleep(0.005);
    v_spent := v_spent + pgreplica.passed_ms(v_looked, 5, 100);
  end loop;
  if v_row.state = 'failed' then
    perform node.raise_failed(v_row);
  elsif v_row.state = 'waiting' and (v_at is null or v_at <= raft.now()) then
    v_row.state := 'running';     -- it goes on from here whether or not the leader has begun
  end if;
  return to_jsonb(v_row) || jsonb_build_object('ends', v_ends and v_row.state in ('waiting', 'running'));
end
$$;
