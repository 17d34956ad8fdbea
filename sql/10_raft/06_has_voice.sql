-- May this store vote?  Only a voter may, and a store made anew only once the log has made this very life one (H56).
-- A node that was given up is no member any more, and has none (H49).
create or replace function raft.has_voice() returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return raft.is_admitted() and coalesce((
    select m.voter from node.identity as i join cluster.member as m on m.node_id = i.node_id), false);
end
$$;
