-- Where a dsn leads, as words of a conninfo: `host=… port=…`, a URI, or host:port.  Who logs in is not its to say.
create or replace function node.place_of(p_dsn text) returns table (host text, port integer)
language plpgsql stable set search_path = '', pg_temp as $$
begin
  host := coalesce(substring(p_dsn from 'host\s*=\s*''?([^\s'']+)'),
                   substring(p_dsn from '^postgres(?:ql)?://(?:[^@/]*@)?\[?([^\]/?:]+)'),
                   substring(p_dsn from '^\[?([A-Za-z0-9_.:-]+?)\]?:\d+$'));
  port := coalesce(substring(p_dsn from 'port\s*=\s*''?(\d+)'),
                   substring(p_dsn from '^postgres(?:ql)?://(?:[^@/]*@)?[^/?]*:(\d+)'),
                   substring(p_dsn from ':(\d+)$'));
  if host is null or port is null then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('dsn is %s', coalesce(quote_literal(p_dsn), 'null')),
      hint = 'Say where the control store of the new node listens: ''host=10.0.0.4 port=5482''.';
  end if;
  return next;
end
$$;
