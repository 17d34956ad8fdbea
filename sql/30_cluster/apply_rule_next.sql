-- First step of a change of the commit rule: from here both rules bind every promotion (H18).
create or replace function cluster.apply_rule_next(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_state cluster.state;
begin
  select * into strict v_state from cluster.state;
  if v_state.rule_version <> (p_body ->> 'version')::bigint then
    return 'stale_version';
  elsif v_state.next_k is not null then
    return 'under_way';
  end if;
  update cluster.state
     set next_k = (p_body ->> 'k')::integer,
         next_cohort = array(select c::integer from jsonb_array_elements_text(p_body -> 'cohort') as c
                              order by c::integer);
  perform cluster.note(p_term, p_body, 'rule_changing', null, null, cluster.standby_names(),
                       format('commits will need %s of the standbys of %s', p_body ->> 'k',
                              p_body ->> 'cohort'));
  return 'ok';
end
$$;
