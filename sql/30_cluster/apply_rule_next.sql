-- First step of a change of the commit rule: from here both rules bind every promotion (H18).
--
-- Of a change under way the confirmations may be lowered: that asks for more reports of the same members, so what
-- was begun stays covered.
create or replace function cluster.apply_rule_next(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_state  cluster.state;
  v_k      integer   := (p_body ->> 'k')::integer;
  v_cohort integer[] := array(select c::integer from jsonb_array_elements_text(p_body -> 'cohort') as c
                               order by c::integer);
begin
  select * into strict v_state from cluster.state;
  if v_state.rule_version <> (p_body ->> 'version')::bigint then
    return 'stale_version';
  elsif v_state.next_k is not null and (v_cohort <> v_state.next_cohort or v_k >= v_state.next_k) then
    return 'under_way';
  end if;
  update cluster.state
     set rule_version = rule_version + (next_k is not null)::int, next_k = v_k, next_cohort = v_cohort;
  perform cluster.note(p_term, p_body, 'rule_changing', null, null, cluster.standby_names(),
                       format('commits will need %s of the standbys of %s', p_body ->> 'k',
                              p_body ->> 'cohort'));
  return 'ok';
end
$$;
