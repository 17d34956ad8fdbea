-- A seal under what is handed in: only functions of ours can make one (HMAC's shape, RFC 2104).
create or replace function node.sealed(p_text text) returns text
language plpgsql stable set search_path = '', pg_temp as $$
begin
  return (
    select encode(sha256(convert_to(s.key, 'UTF8') || sha256(convert_to(s.key || p_text, 'UTF8'))), 'hex')
      from node.seal as s);
end
$$;
