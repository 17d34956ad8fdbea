-- Whether a key is there, by the control store of this node.
create or replace function public.pgraft_kv_exists(key text, consistency text default 'linearizable') returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.read('pgraft', jsonb_build_object(
    'function', 'kv_exists',
    'key', key,
    'consistency', consistency))::boolean;
$$;
comment on function public.pgraft_kv_exists(text, text) is
  'Whether a key is there.';
