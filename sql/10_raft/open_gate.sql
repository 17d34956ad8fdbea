-- Let through who waits at a gate of this session's.  In a transaction after the one they wait for: their next look
-- must see it.
create or replace function raft.open_gate(p_gate bigint) returns void
language sql volatile set search_path = '' as $$
  select pg_advisory_unlock(p_gate);
$$;
