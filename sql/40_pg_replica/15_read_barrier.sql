-- Wait until this node has applied everything committed before this call; 'local' waits for nothing.
--
-- It goes through the log, so a majority has confirmed the leader when it is over.
create or replace function node.read_barrier(p_consistency text) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if p_consistency is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'consistency is null',
      hint = 'It is linearizable or local.';
  elsif p_consistency = 'linearizable' then
    perform node.commit(gen_random_uuid(), 'barrier', '{}');
  elsif p_consistency <> 'local' then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('consistency is %s', left(p_consistency, 100)), hint = 'It is linearizable or local.';
  end if;
end
$$;
