-- Keys and values that begin with prefix, in the order of their bytes, page by page.
create or replace function public.pgraft_kv_list(
  prefix text default '', after_key text default null, max_rows integer default 1000, consistency text default 'linearizable'
) returns table (
  key text, value text, version bigint, updated_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.pgraft_read('kv_list', jsonb_build_object(
    'prefix', prefix, 'after_key', after_key, 'max_rows', max_rows, 'consistency', consistency))) as r (
  key text, value text, version bigint, updated_at timestamptz);
$$;
comment on function public.pgraft_kv_list(text, text, integer, text) is
  'Keys and values that begin with prefix, in the order of their bytes, page by page.';
