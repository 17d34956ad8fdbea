-- What synchronous_standby_names must be on every data server now; '' while k = 0.
--
-- While a change is half made the new list already stands: the joint report rule covers both (H18).
create or replace function cluster.standby_names() returns text
language plpgsql stable set search_path = '' as $$
begin
  return (
    select case when r.k = 0 then '' else
             format('ANY %s (%s)', r.k, (
               select string_agg(cluster.standby_name(m.node_id, m.incarnation), ', ' order by m.node_id)
                 from cluster.member as m where m.node_id = any (r.cohort))) end
      from (select coalesce(s.next_k, s.rule_k), coalesce(s.next_cohort, s.rule_cohort)
              from cluster.state as s) as r (k, cohort));
end
$$;
