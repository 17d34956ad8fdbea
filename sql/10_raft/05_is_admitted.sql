-- Does the log know this life of the node?  One that was made anew is nobody until it does (H56).
create or replace function raft.is_admitted() returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (
    select not i.reborn or coalesce(m.incarnation = i.incarnation, false)
      from node.identity as i left join cluster.member as m on m.node_id = i.node_id);
end
$$;
