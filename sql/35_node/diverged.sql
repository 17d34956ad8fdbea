-- Does this node hold WAL that a later appointment left behind?  Then only a new copy helps (H02, H41).
--
-- Sure in one direction: an appointment that never wrote anything may count against us, and costs a clone.
create or replace function node.diverged(p_lsn pg_lsn) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (
    select exists (
      select from cluster.epoch as e, node.followed as f, node.identity as i
       where e.epoch > f.epoch and e.node_id <> i.node_id and e.from_lsn < p_lsn));
end
$$;
