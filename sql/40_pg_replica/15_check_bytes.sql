-- Refuse a batch of too many bytes.
create or replace function node.check_bytes(p_data jsonb) returns void
language plpgsql immutable set search_path = '', pg_temp as $$
declare
  v_bytes bigint := (select sum(octet_length(d)) from jsonb_array_elements_text(p_data) as d);
begin
  if v_bytes > node.bytes_limit() then
    raise exception using errcode = 'invalid_parameter_value', message = format('data has %s bytes', v_bytes),
      hint = format('An entry holds at most %s bytes, all items of a batch together.', node.bytes_limit());
  end if;
end
$$;
