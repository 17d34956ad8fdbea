-- Answer every question up to a ticket: a majority has confirmed this node as leader since it was asked, and everything
-- committed before stands at p_index or before (R12).  Makes nothing durable.
--
-- Never backwards: the word of a former term of this node's may come late.  And no ticket that nobody has yet: it is
-- from before a crash.  The place is told first, as it is read last (raft.read_index).
create or replace function raft.confirm_reads(p_ticket bigint, p_index bigint) returns void
language plpgsql volatile set search_path = '' as $$
begin
  if p_ticket > (select a.last_value from raft.read_answered as a)
     and p_ticket <= (select a.last_value from raft.read_asked as a) then
    perform setval('raft.read_place', greatest(p_index, (select p.last_value from raft.read_place as p)));
    perform setval('raft.read_answered', p_ticket);
  end if;
end
$$;
