-- Raise an error of another server as our own: SQLSTATE, message, detail and hint as they were, without the pages of
-- context from there.  RAISE takes no null, and an empty detail or hint would be shown.
create or replace function pgreplica.raise_as(p_sqlstate text, p_message text, p_detail text, p_hint text)
returns void
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if p_detail <> '' and p_hint <> '' then
    raise exception using errcode = p_sqlstate, message = p_message, detail = p_detail, hint = p_hint;
  elsif p_detail <> '' then
    raise exception using errcode = p_sqlstate, message = p_message, detail = p_detail;
  elsif p_hint <> '' then
    raise exception using errcode = p_sqlstate, message = p_message, hint = p_hint;
  end if;
  raise exception using errcode = p_sqlstate, message = p_message;
end
$$;
