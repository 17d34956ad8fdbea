-- The event after which events are read: null is the oldest that is kept; an older one than that is refused (RF005).
create or replace function node.event_cursor(p_after bigint) returns bigint
language plpgsql stable set search_path = '', pg_temp as $$
declare
  v_through bigint := coalesce((select min(e.event_id) - 1 from cluster.event as e), 0);
begin
  if p_after < v_through then
    raise exception using errcode = 'RF005',
      message = format('events up to %s are forgotten', v_through),
      hint = 'events(0) begins with the oldest that is kept; kept_events in pg_replica.settings() says how many are.';
  end if;
  return coalesce(p_after, v_through);
end
$$;
