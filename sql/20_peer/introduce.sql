-- Who the members are, for a member in a life that the log does not know yet.
--
-- Its store was made anew from a file that names the first members alone: one that joined later leads, and would be a
-- stranger to it for ever, though only a leader can readmit it.  It is told numbers, and nothing of it is taken (H56).
create or replace function peer.introduce(p_cluster uuid, p_from integer) returns table (members integer[])
language plpgsql stable security definer set search_path = '' as $$
begin
  -- In whatever life: the login says who it is.
  perform raft.check_sender(p_cluster, p_from,
                            (select m.incarnation from cluster.member as m where m.node_id = p_from));
  return query select array(select m.node_id from cluster.member as m order by m.node_id);
end
$$;
