-- Hand a proposal to this node's worker, which must lead (RF001), or wake it for a read, without a key.
--
-- To wake it costs more than all the rest, and one at a time can: while a turn is under way nobody needs to, as it
-- looks again.  One that was under way before may have looked just before the proposal was there, so after that this
-- looks a second time.
create or replace function node.hand_in(p_key uuid, p_kind text, p_body jsonb) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_ring boolean := p_key is null or raft.turn_is_over();
begin
  perform node.through_session(p_key, p_kind, p_body, v_ring);
  if not v_ring and raft.turn_is_over() then
    perform node.through_session(null, 'read', null, true);
  end if;
end
$$;
