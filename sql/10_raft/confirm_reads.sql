-- Answer every question up to a ticket: a majority has confirmed this node as leader since it was asked, and everything
-- committed before stands at p_index or before (R12).  Makes nothing durable.
--
-- Never backwards: the word of a former term of this node's may come late.
create or replace function raft.confirm_reads(p_ticket bigint, p_index bigint) returns void
language sql volatile set search_path = '' as $$
  insert into raft.read_confirmed as c (ticket, index) values (p_ticket, p_index)
  on conflict (singleton) do update
     set ticket = greatest(c.ticket, excluded.ticket), index = greatest(c.index, excluded.index);
$$;
