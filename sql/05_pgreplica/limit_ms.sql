-- How long an answer may take: what the caller is ready to wait, and eight seconds to find out that nobody leads.
create or replace function pgreplica.limit_ms(p_function text, p_args jsonb) returns integer
language sql immutable set search_path = '', pg_temp as $$
  select 8000 + case when p_function in ('failover', 'switchover')
                     then least(coalesce((p_args ->> 'wait_ms')::integer, 30000), 3600000)
                     when p_function = 'remove_node' then 65000
                     when p_function = 'pgraft'
                     then coalesce((p_args ->> 'limit_ms')::integer, 0)
                          + case p_args ->> 'function' when 'remove_node' then 65000 when 'add_node' then 8000 else 0 end
                     else 0 end;
$$;
comment on function pgreplica.limit_ms(text, jsonb) is 'How long an answer may take, in ms.';
