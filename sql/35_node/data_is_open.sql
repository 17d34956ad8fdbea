-- Whether this node's data server is the primary, and open, as its worker has seen it.
create or replace function node.data_is_open() returns boolean
language sql stable set search_path = '' as $$
  select exists (select from node.observed as o join node.identity as i on i.node_id = o.node_id
                  where o.role = 'primary' and o.writable and o.gate_open);
$$;
