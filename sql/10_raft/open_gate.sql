-- Answer the questions up to a ticket, if there is one, and let through who waits at a gate of this session's; whether
-- more was handed in or asked since.
--
-- In a transaction after the one that proposals wait for: their next look must see it.  Who asks while the gate is
-- still shut relies on the look after it (raft.ask_read, raft.turn_is_over).
create or replace function raft.open_gate(p_gate bigint, p_ticket bigint, p_index bigint) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  if p_ticket is not null then
    perform raft.confirm_reads(p_ticket, p_index);
  end if;
  perform pg_advisory_unlock(p_gate);
  return exists (select from raft.inbox) or raft.reads_asked() > 0;
end
$$;
