-- Commit what a user put into the log; its place there.  p_args: data (a list of texts), request_id,
-- term (only in that one; null when it is over).
create or replace function node.replicate(p_args jsonb) returns bigint
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_data jsonb := p_args -> 'data';
  v_done record;                -- its place in the log, and its outcome
begin
  if coalesce(v_data, 'null') = 'null' or v_data @> '[null]' then
    raise exception using errcode = 'null_value_not_allowed', message = 'data is null',
      hint = 'An entry holds text; it may be empty.';
  elsif v_data = '[]' then
    raise exception using errcode = 'invalid_parameter_value', message = 'data has no items',
      hint = 'A batch holds one item or more.';
  elsif jsonb_array_length(v_data) > 10000 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('data has %s items', jsonb_array_length(v_data)), hint = 'A batch holds at most 10000 items.';
  elsif jsonb_path_exists(v_data, 'strict $[*] ? (@.type() != "string")') then
    raise exception using errcode = 'invalid_parameter_value', message = 'data has more than one dimension',
      hint = 'A batch is a plain list.';
  elsif pg_column_size(v_data) > node.bytes_limit() then    -- at least as much as its items
    perform node.check_bytes(v_data);
  end if;
  v_done := node.propose(
    case when p_args ->> 'request_id' is not null then node.request_key(p_args ->> 'request_id') end, 'entry',
    jsonb_build_object('data', v_data, 'request_id', p_args -> 'request_id', 'term', p_args -> 'term'),
    coalesce((p_args ->> 'limit_ms')::integer, 3800));
  return case when v_done.outcome = 'ok' then v_done.log_index end;
end
$$;
