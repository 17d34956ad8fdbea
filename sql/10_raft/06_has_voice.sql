-- May this store vote?  Any member may whose very life the log knows (H56): whoever counts the vote knows it as a
-- voter, which a learner's own log may be the last to tell (H53).
-- A node that left is no member any more, and has none (H49).
create or replace function raft.has_voice() returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return raft.is_admitted() and exists (
    select from node.identity as i join cluster.member as m on m.node_id = i.node_id);
end
$$;
