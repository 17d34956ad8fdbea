-- What this store has seen of every member, its own row as its peers get it.
create or replace function node.observed_rows() returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return (
    select coalesce(jsonb_agg(
             case when o.node_id = i.node_id then node.own_row()
                  else to_jsonb(o) || jsonb_build_object('progress', to_jsonb(p)) end
             order by o.node_id), '[]')
      from node.observed as o
     cross join node.identity as i
      left join node.progress as p on p.node_id = o.node_id);
end
$$;
