-- The other end of node.hand_in, in a session of its own: a proposal for this node's worker, or, without a key, that
-- somebody waits for a read.  Committed when it is over, and lost in a crash, as its caller is.
create or replace function node.take_in(p_seal text, p_key text, p_kind text, p_body text, p_ring boolean) returns void
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  if p_seal is distinct from node.sealed(format('%L, %L, %L, %L', p_key, p_kind, p_body, p_ring)) then
    raise exception using errcode = 'insufficient_privilege', message = 'this was not sealed here';
  end if;
  perform raft.check_leads();
  if p_key is not null then
    perform raft.put_inbox(p_key::uuid, p_kind, p_body::jsonb);
  end if;
  if p_ring then
    perform pg_notify('pg_replica_wake', case when p_key is null then 'read' else 'inbox' end);
  end if;
end
$$;
