-- Last step of a change of the commit rule: the new one was proved in force and binds alone (H17, H18).
create or replace function cluster.apply_rule(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_refused text := cluster.rule_step_refused((p_body ->> 'version')::bigint);
begin
  if v_refused is not null then
    return v_refused;
  end if;
  update cluster.state
     set rule_version = rule_version + 1, rule_k = next_k, rule_cohort = next_cohort,
         next_k = null, next_cohort = null;
  perform cluster.note(p_term, p_body, 'rule_changed', null, null, cluster.standby_names(),
                       'the commit rule was seen in force on the primary');
  perform cluster.close_requests(p_term, p_body);
  return 'ok';
end
$$;
