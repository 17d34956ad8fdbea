-- A seal under what is handed in: only functions of ours can make one.
create or replace function node.sealed(p_text text) returns text
language plpgsql stable set search_path = '', pg_temp as $$
declare
  v_key text := (select s.key from node.seal as s);
begin
  return encode(sha256(convert_to(v_key || encode(sha256(convert_to(v_key || p_text, 'UTF8')), 'hex'), 'UTF8')), 'hex');
end
$$;
