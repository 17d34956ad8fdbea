-- Why a later step of a change of the commit rule is not taken; null when it is: it was decided on this very version.
create or replace function cluster.rule_step_refused(p_version bigint) returns text
language sql stable set search_path = '' as $$
  select case when s.rule_version <> p_version then 'stale_version'
              when s.next_k is null then 'not_under_way' end
    from cluster.state as s
$$;
