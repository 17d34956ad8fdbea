-- Fetch this member's pledge and, once made, its report or hand-over for an epoch.
create or replace function peer.report(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_epoch bigint
) returns table (pledge bigint, history_epoch bigint, lsn pg_lsn, shutdown_lsn pg_lsn, problem text)
language plpgsql stable security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  return query
  select p.epoch, r.history_epoch, r.lsn, h.shutdown_lsn, h.problem
    from node.pledge as p
    left join node.report as r on r.epoch = p_epoch and p.epoch = p_epoch
    left join node.handed_over as h on h.epoch = p_epoch;
end
$$;
