-- The answer to a ticket; null while there is none.
create or replace function raft.read_index(p_ticket bigint) returns bigint
language sql volatile set search_path = '' as $$
  select c.index from raft.read_confirmed as c where c.ticket >= p_ticket;
$$;
