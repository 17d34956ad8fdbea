-- Take what was handed in until now, and shut a new gate for all that comes later; the old one is opened when what was
-- taken is applied here, and answered.
--
-- In this order: who hands something in has read the newest gate before, and waits there.  So nobody's proposal is
-- taken whose gate is a later one than that which will be opened for it.  Locks and sequences know no transactions, and
-- both are the session's: a worker that dies opens every gate.  Who asks for a read after this look wakes the worker.
create or replace function raft.turn_gate(p_max integer, out gate bigint, out ticket bigint, out proposals jsonb)
language plpgsql volatile set search_path = '' as $$
begin
  perform setval('raft.read_seen', a.last_value) from raft.read_asked as a where a.is_called;
  ticket := raft.reads_asked();
  select coalesce(jsonb_agg(jsonb_build_object(
           'client', t.client, 'sequence', t.sequence::text, 'kind', t.kind, 'body', t.body)), '[]')
    into proposals from raft.take_inbox(p_max) as t;
  select g.last_value into gate from raft.gate as g;
  perform pg_advisory_lock(gate + 1);
  perform setval('raft.gate', gate + 1);
end
$$;
