-- A member tells the leader at once what changed on it, without waiting to be asked.
create or replace function peer.suspect(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_row jsonb
) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  if pg_column_size(p_row) > 65536 then
    perform raft.raise_too_much(p_from, format('a row of %s bytes', pg_column_size(p_row)), '65536 bytes');
  end if;
  if (p_row ->> 'node_id')::integer is distinct from p_from then
    raise exception using errcode = 'RF008',
      message = format('node %s may only speak of itself', p_from);
  end if;
  perform node.gossip(jsonb_build_array(p_row));
  perform pg_notify('pg_replica_wake', 'suspect');
end
$$;
