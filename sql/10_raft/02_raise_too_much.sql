-- Refuse what is more than one call may bring: a member of ours sends less, however much there is to send.
create or replace function raft.raise_too_much(p_from integer, p_given text, p_most text) returns void
language plpgsql immutable set search_path = '' as $$
begin
  raise exception using errcode = 'program_limit_exceeded',
    message = format('node %s sends %s in one call', p_from, p_given),
    detail = format('At most %s are taken.', p_most),
    hint = 'Does it run another version of pg_replica, or is it something else that logs in as it?';
end
$$;
