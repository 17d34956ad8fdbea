-- A half-made change of the commit rule is turned back: old and new change places, and both bind on (H18).
--
-- Its number rises, so that what was proved of the rule before counts for nothing now.
create or replace function cluster.apply_rule_back(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_refused text := cluster.rule_step_refused((p_body ->> 'version')::bigint);
begin
  if v_refused is not null then
    return v_refused;
  end if;
  update cluster.state
     set rule_version = rule_version + 1, rule_k = next_k, rule_cohort = next_cohort,
         next_k = rule_k, next_cohort = rule_cohort;
  perform cluster.note(p_term, p_body, 'rule_turned_back', null, null, cluster.standby_names(),
                       'too few members could confirm the new commit rule');
  return 'ok';
end
$$;
