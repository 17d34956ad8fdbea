-- Nothing can add to this node's WAL any more: report how far it reaches, for the epoch it pledged (H01).
create or replace function node.make_report(p_epoch bigint, p_lsn pg_lsn, p_evidence text)
returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform node.require_pledge(p_epoch);
  insert into node.report (epoch, history_epoch, lsn, evidence)
  values (p_epoch, node.history_epoch(p_lsn), p_lsn, p_evidence)
  on conflict (epoch) do update
    set history_epoch = excluded.history_epoch, lsn = excluded.lsn, evidence = excluded.evidence;
  perform pg_notify('pg_replica_wake', 'reported');
end
$$;
