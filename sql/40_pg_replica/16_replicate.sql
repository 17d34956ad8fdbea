-- Commit what a user put into the log; its place there.  p_args: data (a list of texts), request_id,
-- term (only in that one; null when it is over).
create or replace function node.replicate(p_args jsonb) returns bigint
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_data  jsonb := p_args -> 'data';
  v_key   uuid  := node.request_key(p_args ->> 'request_id');
  v_items record;
  v_done  record;
begin
  select count(*) as number, sum(octet_length(d #>> '{}')) as bytes,
         bool_or(jsonb_typeof(d) = 'null') as any_null, bool_or(jsonb_typeof(d) not in ('null', 'string')) as any_list
    into v_items from jsonb_array_elements(coalesce(nullif(v_data, 'null'), '[null]')) as d;
  if v_items.any_null then
    raise exception using errcode = 'null_value_not_allowed', message = 'data is null',
      hint = 'An entry holds text; it may be empty.';
  elsif v_items.number = 0 then
    raise exception using errcode = 'invalid_parameter_value', message = 'data has no items',
      hint = 'A batch holds one item or more.';
  elsif v_items.any_list then
    raise exception using errcode = 'invalid_parameter_value', message = 'data has more than one dimension',
      hint = 'A batch is a plain list.';
  elsif v_items.bytes > node.bytes_limit() then
    raise exception using errcode = 'invalid_parameter_value', message = format('data has %s bytes', v_items.bytes),
      hint = format('An entry holds at most %s bytes, all items of a batch together.', node.bytes_limit());
  end if;
  select * into v_done from node.commit(v_key, 'entry', jsonb_build_object(
    'data', v_data, 'request_id', p_args -> 'request_id', 'term', p_args -> 'term',
    'node_id', (select i.node_id from node.identity as i)),
    p_limit_ms => coalesce((p_args ->> 'limit_ms')::integer, 3800));
  return case when v_done.outcome = 'ok' then v_done.log_index end;
end
$$;
