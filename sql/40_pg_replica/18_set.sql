-- Set something for the whole cluster; null: its default again.
create or replace function node.set(p_args jsonb, p_by text) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_known cluster.setting_known;
  v_value numeric;
begin
  select * into v_known from cluster.setting_known as k where k.name = p_args ->> 'name';
  if not found then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('there is no setting %s', coalesce(p_args ->> 'name', 'null')),
      hint = 'See pg_replica.settings().';
  elsif p_args ->> 'value' !~ '^[0-9]{1,18}$' then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('%s is %s', v_known.name, p_args ->> 'value'), hint = 'It is a whole number.';
  end if;
  v_value := p_args ->> 'value';
  if v_value not between v_known.lowest and v_known.highest then
    raise exception using errcode = 'invalid_parameter_value', message = format('%s is %s', v_known.name, v_value),
      hint = format('It is a number of %s from %s to %s.', v_known.unit, v_known.lowest, v_known.highest);
  end if;
  return (node.propose(null, 'set', jsonb_build_object(
    'name', v_known.name, 'value', v_value::text, 'by', p_by))).outcome = 'ok';
end
$$;
