-- Acts that are not events yet, oldest first; those that became one are forgotten.
create or replace function node.pending_acts()
returns table (key uuid, body jsonb)
language plpgsql volatile set search_path = '' as $$
begin
  delete from node.act as a using cluster.proposal as p where p.client = a.key;
  return query
  select a.key, jsonb_build_object(
           'at', to_char(a.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'node_id', i.node_id, 'event', a.event, 'reason', a.reason, 'detail', a.detail,
           'since', a.since::text)
    from node.act as a, node.identity as i order by a.id limit 20;
end
$$;
