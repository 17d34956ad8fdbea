-- Forgets deleted keys and replaced versions on all nodes at one place in the log.
create or replace function public.pgraft_kv_compact() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select node.write('pgraft', jsonb_build_object(
    'function', 'kv_compact', 'forward', current_setting('pgraft.forward_writes', true)))::boolean;
$$;
comment on function public.pgraft_kv_compact() is
  'Forgets deleted keys and replaced versions on all nodes at one place in the log.';
