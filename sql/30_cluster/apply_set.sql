-- What an operator sets for the whole cluster; no value: the default again.
create or replace function cluster.apply_set(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_name  text := p_body ->> 'name';
  v_value text := p_body ->> 'value';
  v_was   text := (select s.value from cluster.setting as s where s.name = v_name);
begin
  delete from cluster.setting where name = v_name;
  insert into cluster.setting (name, value) select v_name, v_value where v_value is not null;
  perform cluster.note(p_term, p_body, 'setting_changed', null, v_was, v_value,
                       format('%s set %s to %s', p_body ->> 'by', v_name, coalesce(v_value, 'its default')),
                       jsonb_build_object('name', v_name));
  return 'ok';
end
$$;
