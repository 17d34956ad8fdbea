-- Where members say that they are reached, as long as the log says another place.
create or replace function node.heard_places() returns table (node_id integer, host text, port integer)
language sql stable set search_path = '' as $$
  select h.node_id, h.host, h.port
    from node.heard_place as h join cluster.member as m on m.node_id = h.node_id
   where (m.control_host, m.control_port) <> (h.host, h.port)
   order by h.node_id;
$$;
