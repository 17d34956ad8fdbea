-- The other end of node.hand_in, in a session of its own: a proposal for this node's worker, or a ticket for a read.
-- Committed when it is over, and lost in a crash, as its caller is.
create or replace function node.take_in(p_seal text, p_text text) returns bigint
language plpgsql volatile security definer set search_path = '', pg_temp as $$
declare
  v_what jsonb;
begin
  if p_seal is distinct from node.sealed(p_text) then
    raise exception using errcode = 'insufficient_privilege', message = 'this was not sealed here';
  end if;
  perform raft.check_leads();
  v_what := p_text::jsonb;
  if v_what ->> 'kind' = 'read' then
    perform pg_notify('pg_replica_wake', 'read');
    return nextval('raft.read_asked');
  end if;
  insert into raft.inbox (client, sequence, kind, body)
  values ((v_what ->> 'key')::uuid, 1, v_what ->> 'kind', v_what -> 'body')
  on conflict do nothing;
  perform pg_notify('pg_replica_wake', 'inbox');
  return null;
end
$$;
