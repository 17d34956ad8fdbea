-- One try to hand a proposal to the worker of the node that leads.
create or replace function node.submit(p_leader integer, p_key uuid, p_kind text, p_body jsonb) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_conninfo text := node.peer_conninfo(p_leader);
begin
  if v_conninfo is null then
    raise exception using errcode = 'connection_exception',
      message = format('this node cannot log in to node %s yet', p_leader),
      hint = 'Its worker stores the password when it starts: is it running?';
  end if;
  perform node.ask(v_conninfo, (
    select format('select to_jsonb(true) from peer.submit(p_cluster => %L, p_from => %s, p_incarnation => %L,'
                  ' p_key => %L, p_kind => %L, p_body => %L)',
             i.cluster_id, i.node_id, i.incarnation, p_key, p_kind, p_body)
      from node.identity as i), 1000);
end
$$;
