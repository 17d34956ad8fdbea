-- What this store has seen of every member, its own row as its peers get it.
create or replace function node.observed_rows() returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (
    select coalesce(jsonb_agg(case when o.node_id = i.node_id then node.own_row() else to_jsonb(o) end
                              order by o.node_id), '[]')
      from node.observed as o, node.identity as i);
end
$$;
