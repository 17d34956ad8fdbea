-- Last step of a change of the commit rule: the new one was proved in force and binds alone (H17, H18).
create or replace function cluster.apply_rule(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_state cluster.state;
begin
  select * into strict v_state from cluster.state;
  if v_state.rule_version <> (p_body ->> 'version')::bigint then
    return 'stale_version';
  elsif v_state.next_k is null then
    return 'not_under_way';
  end if;
  update cluster.state
     set rule_version = rule_version + 1, rule_k = next_k, rule_cohort = next_cohort,
         next_k = null, next_cohort = null;
  perform cluster.note(p_term, p_body, 'rule_changed', null, null, cluster.standby_names(),
                       'the commit rule was seen in force on the primary');
  return 'ok';
end
$$;
