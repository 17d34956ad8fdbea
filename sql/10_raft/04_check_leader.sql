-- As check_sender, and a member in a life that this log has not heard of yet is let through: not in one that has ended.
--
-- A store that lags, or was made anew and begins with old entries, knows its members in the lives of then. Refused, a
-- leader that lives again since could never tell it so. Who leads was elected by those who know it, and its term says
-- whether it still does; a vote is given to no life that the log here does not know (H56).
create or replace function raft.check_leader(p_cluster uuid, p_from integer, p_incarnation uuid)
returns void
language plpgsql stable set search_path = '' as $$
declare
  v_known uuid;
begin
  select m.incarnation into v_known
    from cluster.member as m
   where m.node_id = p_from
     and not exists (select from cluster.former_incarnation as f
                      where f.node_id = p_from and f.incarnation = p_incarnation);
  perform raft.check_sender(p_cluster, p_from, coalesce(v_known, p_incarnation));
end
$$;
