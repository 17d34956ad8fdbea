-- Set what is wanted of a member; null leaves it as it is.
create or replace function node.set_node(p_args jsonb, p_by text) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_id      integer := node.find_member(p_args ->> 'node');
  v_outcome text;
begin
  if v_id is null then
    raise exception using errcode = 'invalid_parameter_value', message = 'set_node() needs a node',
      hint = 'select pg_replica.set_node(''node3'', priority => 50);';
  elsif (p_args ->> 'priority')::integer not between 0 and 1000 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('priority is %s', p_args ->> 'priority'),
      hint = 'It is a number from 0 to 1000; 100 is the default.';
  end if;
  v_outcome := (node.propose(null, 'set_member',
    jsonb_strip_nulls(p_args - 'node') || jsonb_build_object('node_id', v_id, 'by', p_by))).outcome;
  if v_outcome <> 'ok' then
    perform node.raise_refused(format('node %s cannot be set so', v_id), v_outcome);
  end if;
  return true;
end
$$;
