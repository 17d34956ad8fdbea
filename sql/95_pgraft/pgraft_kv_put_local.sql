-- Refused: it would bypass consensus.
create or replace function public.pgraft_kv_put_local(key text, value text) returns boolean
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  raise exception using errcode = 'RF009',
    message = 'pgraft: kv_put_local would bypass consensus', hint = 'Use pgraft_kv_put.';
end
$$;
comment on function public.pgraft_kv_put_local(text, text) is
  'Always refused (RF009): it would bypass consensus.';
