-- What a setting of the cluster is now.
create or replace function cluster.setting_value(p_name text) returns bigint
language sql stable set search_path = '' as $$
  select coalesce((select s.value::bigint from cluster.setting as s where s.name = k.name), k.default_value)
    from cluster.setting_known as k where k.name = p_name;
$$;
