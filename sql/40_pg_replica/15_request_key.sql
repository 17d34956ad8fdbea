-- The key a caller's request_id is proposed under: the same on every node and for ever, so that it commits once (H60).
create or replace function node.request_key(p_request_id text) returns uuid
language plpgsql immutable set search_path = '', pg_temp as $$
begin
  if octet_length(p_request_id) not between 1 and 255 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('request_id has %s bytes', octet_length(p_request_id)),
      hint = 'It is a name of 1 to 255 bytes; null: the entry has none.';
  end if;
  return encode(substring(sha256(convert_to('replicate ' || p_request_id, 'UTF8')) for 16), 'hex')::uuid;
end
$$;
