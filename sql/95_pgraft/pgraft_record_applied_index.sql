-- Refused: it would bypass consensus.
create or replace function public.pgraft_record_applied_index(index bigint) returns void
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  raise exception using errcode = 'RF009',
    message = 'pgraft: record_applied_index would bypass consensus', hint = 'The worker alone moves it.';
end
$$;
comment on function public.pgraft_record_applied_index(bigint) is
  'Always refused (RF009): it would bypass consensus.';
