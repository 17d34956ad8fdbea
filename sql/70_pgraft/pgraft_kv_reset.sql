-- Deletes every key on all nodes, as one entry, by the control store of this node.
create or replace function public.pgraft_kv_reset() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.write('pgraft', jsonb_build_object(
    'function', 'kv_reset', 'forward', current_setting('pgraft.forward_writes', true)))::boolean;
$$;
comment on function public.pgraft_kv_reset() is
  'Deletes every key on all nodes, as one entry.';
