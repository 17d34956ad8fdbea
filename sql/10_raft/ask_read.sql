-- Take a ticket: whoever has it may read once all up to it are answered.  The gate to wait at for that, and whether the
-- worker must be woken: by the first who asks after it looked, unless its turn is not over.
--
-- In this order: a turn whose gate is still shut when the ticket is there looks again when it opens it
-- (raft.open_gate).  Sequences and locks know no transactions.
create or replace function raft.ask_read(out ticket bigint, out gate bigint, out must_ring boolean)
language plpgsql volatile set search_path = '' as $$
begin
  gate := (select g.last_value from raft.gate as g);
  ticket := nextval('raft.read_asked');
  must_ring := ticket = (select s.last_value + 1 from raft.read_seen as s) and pg_try_advisory_lock_shared(gate - 1);
  if must_ring then
    perform pg_advisory_unlock_shared(gate - 1);
  end if;
end
$$;
