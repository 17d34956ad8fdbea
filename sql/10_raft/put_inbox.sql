-- Leave a proposal of a SQL caller for this node's worker, in the term that it leads as far as this store knows.
--
-- A term that begins meanwhile is not this one: the proposal is dropped, and handed in again (raft.take_inbox).
create or replace function raft.put_inbox(p_key uuid, p_kind text, p_body jsonb) returns void
language plpgsql volatile set search_path = '' as $$
begin
  -- Half of what one append may hold: nothing that no store takes may stand in the way of all that follows.
  if pg_column_size(p_body) > 4194304 then
    raise exception using errcode = 'program_limit_exceeded',
      message = format('a proposal of %s bytes', pg_column_size(p_body)), hint = 'It holds at most 4194304 bytes.';
  end if;
  insert into raft.inbox (client, sequence, kind, body, term)
  select p_key, 1, p_kind, p_body, s.current_term from raft.hard_state as s
  on conflict (client, sequence) do update set term = excluded.term;
end
$$;
