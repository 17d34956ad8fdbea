-- What the primary's data server repeats of the newest events, oldest first; nothing unless it is here and open.
create or replace function node.announcements(p_after bigint)
returns table (event_id bigint, channel text, payload text)
language plpgsql stable set search_path = '' as $$
begin
  return query
  select e.event_id, a.channel, a.payload
    from node.identity as i
    join node.observed as o on o.node_id = i.node_id and o.role = 'primary' and o.gate_open
   cross join lateral (
     select * from cluster.event as v where v.event_id > p_after order by v.event_id desc limit 20) as e
   cross join lateral cluster.announcement(e) as a
   order by e.event_id;
end
$$;
