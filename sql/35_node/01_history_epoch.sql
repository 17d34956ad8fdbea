-- The newest epoch whose WAL reaches into what this node holds up to an LSN; 0 if none.
--
-- An epoch counts when this node followed or led it and holds WAL beyond the point where it began
-- (from_lsn, committed before the promotion), whether or not the stamp was replayed.
create or replace function node.history_epoch(p_lsn pg_lsn) returns bigint
language plpgsql stable set search_path = '' as $$
begin
  return (
    select coalesce(max(e.epoch), 0)
      from cluster.epoch as e, node.followed as f
     where e.epoch <= f.epoch and e.node_id is not null
       and coalesce(e.from_lsn, '0/0') < p_lsn);
end
$$;
