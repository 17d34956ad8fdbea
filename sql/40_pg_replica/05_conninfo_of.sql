-- How this node reaches the control store of a member, its own or another's.
create or replace function node.conninfo_of(p_node integer) returns text
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_conninfo text := case when p_node = (select i.node_id from node.identity as i)
                          then pgreplica.own_conninfo('postgres', 3000) else node.peer_conninfo(p_node) end;
begin
  if v_conninfo is null then
    raise exception using errcode = 'connection_exception',
      message = format('this node cannot log in to node %s yet', p_node),
      hint = 'Its worker stores the password when it starts: is it running?';
  end if;
  return v_conninfo;
end
$$;
