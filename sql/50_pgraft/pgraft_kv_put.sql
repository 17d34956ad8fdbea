-- Gives a key a value.
create or replace function public.pgraft_kv_put(key text, value text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select node.write('pgraft', jsonb_build_object(
    'function', 'kv_put', 'forward', current_setting('pgraft.forward_writes', true),
    'key', key,
    'value', value))::boolean;
$$;
comment on function public.pgraft_kv_put(text, text) is
  'Gives a key a value.';
