-- Write one event and announce it.  Ids have no gaps; the time is the proposing leader's.
create or replace function cluster.note(
  p_term bigint, p_body jsonb, p_event text, p_node integer,
  p_from text, p_to text, p_reason text, p_detail jsonb default '{}'
) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_epoch cluster.epoch := cluster.newest_epoch();
  v_event cluster.event;
begin
  insert into cluster.event (event_id, at, term, epoch, node_id, event, from_state, to_state, reason, detail)
  select coalesce(max(event_id), 0) + 1, coalesce((p_body ->> 'at')::timestamptz, '1970-01-01Z'),
         p_term, coalesce(v_epoch.epoch, 0), p_node, p_event, p_from, p_to, p_reason, p_detail
    from cluster.event
  returning * into v_event;
  perform pg_notify(a.channel, a.payload) from cluster.announcement(v_event) as a;
end
$$;
