-- The leader shares what is seen of every member, and takes home this member's own row.
create or replace function peer.gossip(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_rows jsonb
) returns table (own jsonb)
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  if jsonb_array_length(p_rows) > 64 or pg_column_size(p_rows) > 1048576 then
    perform raft.raise_too_much(p_from, format('%s rows of %s bytes',
      jsonb_array_length(p_rows), pg_column_size(p_rows)), '64 rows and 1048576 bytes');
  end if;
  perform node.gossip(p_rows);
  return query select node.own_row();
end
$$;
