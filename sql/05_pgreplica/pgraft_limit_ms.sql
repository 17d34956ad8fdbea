-- How long the caller is ready to wait, from the setting pgraft.request_timeout of session, role, database or file.
create or replace function pgreplica.pgraft_limit_ms() returns integer
language plpgsql stable set search_path = '' as $$
declare
  v_set   text    := coalesce(nullif(current_setting('pgraft.request_timeout', true), ''), '5000');
  v_limit integer := coalesce(substring(v_set from '^\s*(\d{1,6})\s*(?:ms)?\s*$')::integer,
                              substring(v_set from '^\s*(\d{1,3})\s*s\s*$')::integer * 1000);
begin
  if v_limit between 100 and 600000 then
    return v_limit;
  end if;
  raise exception using errcode = 'invalid_parameter_value',
    message = format('pgraft.request_timeout is %s', left(v_set, 100)),
    hint = 'It is a number of milliseconds from 100 to 600000.';
end
$$;
comment on function pgreplica.pgraft_limit_ms() is 'how long a call of the pgraft interface may wait';
