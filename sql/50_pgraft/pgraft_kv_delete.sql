-- Takes a key away.
create or replace function public.pgraft_kv_delete(key text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select node.write('pgraft', jsonb_build_object(
    'function', 'kv_delete', 'forward', current_setting('pgraft.forward_writes', true),
    'key', key))::boolean;
$$;
comment on function public.pgraft_kv_delete(text) is
  'Takes a key away; false when it was not there.';
