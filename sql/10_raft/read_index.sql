-- The answer to a ticket; null while there is none.
--
-- First whether there is one, then what it is: a later one holds too, an earlier one would not (R12).
create or replace function raft.read_index(p_ticket bigint) returns bigint
language plpgsql volatile set search_path = '' as $$
begin
  if p_ticket <= (select a.last_value from raft.read_answered as a) then
    return (select p.last_value from raft.read_place as p);
  end if;
  return null;
end
$$;
