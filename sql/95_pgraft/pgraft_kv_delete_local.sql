-- Refused: it would bypass consensus.
create or replace function public.pgraft_kv_delete_local(key text) returns boolean
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  raise exception using errcode = 'RF009',
    message = 'pgraft: kv_delete_local would bypass consensus', hint = 'Use pgraft_kv_delete.';
end
$$;
comment on function public.pgraft_kv_delete_local(text) is
  'Always refused (RF009): it would bypass consensus.';
