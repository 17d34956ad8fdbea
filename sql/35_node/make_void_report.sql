-- This node's data are lost to the cluster, and it confirmed nothing in that epoch or later: say so (H04).
--
-- Whoever holds the beginning of that epoch holds all that this node ever confirmed, so it counts as a report
-- where such a one is there, and is never chosen.
create or replace function node.make_void_report(p_epoch bigint, p_nothing_from bigint, p_evidence text)
returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform node.require_pledge(p_epoch);
  if p_nothing_from < (select epoch from node.followed) then
    raise exception using errcode = 'RF010',
      message = format('this node followed epoch %s: it may have confirmed commits after epoch %s began',
                       (select epoch from node.followed), p_nothing_from);
  end if;
  insert into node.report (epoch, history_epoch, lsn, evidence)
  values (p_epoch, p_nothing_from, null, p_evidence)
  on conflict (epoch) do nothing;
  perform pg_notify('pg_replica_wake', 'reported');
end
$$;
