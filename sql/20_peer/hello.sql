-- Who is there?  The first call on every connection between nodes.
--
-- members: all that this store knows, for one whose log does not know them yet. A life that no log knows yet is told
-- them too: made anew from a file that names the first members alone, it must let in whoever leads now.
create or replace function peer.hello(p_cluster uuid, p_from integer, p_incarnation uuid)
returns table (node_id integer, incarnation uuid, boot_id text, heard bigint, members integer[])
language plpgsql volatile security definer set search_path = '' as $$
begin
  -- What this store has promised may be missing in it: nobody may count on it before its worker has compared (H56).
  if current_setting('pgreplica.unverified', true) = 'on' then
    raise exception using errcode = 'cannot_connect_now',
      message = 'the control store of this node has just been started, and is not verified yet';
  end if;
  perform raft.check_leader(p_cluster, p_from, p_incarnation);
  return query
  select i.node_id, i.incarnation, raft.boot_id(), raft.heard_count(),
         array(select m.node_id from cluster.member as m order by m.node_id)
    from node.identity as i;
end
$$;
