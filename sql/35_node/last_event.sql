-- Which of these the cluster's events tell last; null: none of them, or none that is kept still.
create or replace function node.last_event(p_events text[]) returns text
language sql stable set search_path = '' as $$
  select e.event from cluster.event as e where e.event = any (p_events) order by e.event_id desc limit 1;
$$;
