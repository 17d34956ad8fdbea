-- Keys that begin with prefix, in the order of their bytes.
create or replace function public.pgraft_kv_list_keys(
  prefix text default '', consistency text default 'linearizable'
) returns setof text
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.key from jsonb_array_elements_text(pgreplica.pgraft_read('kv_list_keys', jsonb_build_object(
    'prefix', prefix, 'consistency', consistency))) with ordinality as r (key, pos) order by r.pos;
$$;
comment on function public.pgraft_kv_list_keys(text, text) is
  'Keys that begin with prefix, in the order of their bytes.';
