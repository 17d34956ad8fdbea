-- Refuse what only the leader may be asked for (RF001).
create or replace function raft.check_leads() returns void
language plpgsql volatile set search_path = '' as $$
begin
  if not exists (select from raft.hard_state as s, node.identity as i where s.leader_id = i.node_id) then
    raise exception using errcode = 'RF001', message = 'this node does not lead',
      detail = format('Current leader: %s.',
                      (select coalesce(leader_id::text, 'none') from raft.hard_state));
  end if;
end
$$;
