-- What the view pgraft_get_nodes reads: who may read it need be granted nothing else.
create or replace function pgreplica.pgraft_nodes() returns table (
  node_id integer, address text, port integer, is_leader boolean, name text, is_voter boolean, is_self boolean,
  reachable boolean
)
language sql stable security definer set search_path = '', pg_temp as $$
  select m.node_id, m.control_host, m.control_port, m.node_id = l.id, m.name, m.voter, m.node_id = i.node_id, s.fresh
    from cluster.member as m
    join node.seen as s on s.node_id = m.node_id
   cross join node.identity as i
   cross join node.pgraft_leader() as l (id)
   order by m.node_id;
$$;
comment on function pgreplica.pgraft_nodes() is 'What the view pgraft_get_nodes reads.';
