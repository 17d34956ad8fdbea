-- Which other member is reached where this command says that its own is; null: none.
create or replace function cluster.address_taken(p_body jsonb) returns text
language sql stable set search_path = '' as $$
  select m.name from cluster.member as m
   where m.node_id <> (p_body ->> 'node_id')::integer
     and ((m.control_host, m.control_port) = (p_body ->> 'control_host', (p_body ->> 'control_port')::integer)
       or (m.data_host, m.data_port) = (p_body ->> 'data_host', (p_body ->> 'data_port')::integer))
   order by m.node_id limit 1
$$;
