-- What the log is to be told of where this node is reached, and why it would be refused (null: nothing speaks against
-- it).  No row when the log knows the place, or not this life of the node: no other may move it (R13).
create or replace function node.move_due() returns table (body jsonb, obstacle text)
language sql stable set search_path = '' as $$
  select b.body,
         case when (m.data_port is null) <> (a.data_port is null)
                then format('a witness does not become a data member, nor the other way round: node %s joins anew', m.node_id)
              else cluster.address_taken(b.body) || ' is reached there already' end
    from node.identity as i
    join cluster.member as m on m.node_id = i.node_id and m.incarnation = i.incarnation
   cross join node.address as a
   cross join lateral (
     select to_jsonb(a) - 'singleton'
            || jsonb_build_object('node_id', i.node_id, 'incarnation', i.incarnation, 'at', raft.now(),
                                  'since', (select h.applied_index::text from raft.hard_state as h)) as body) as b
   where (m.control_host, m.control_port, m.data_host, m.data_port)
         is distinct from (a.control_host, a.control_port, a.data_host, a.data_port);
$$;
