-- Hand the proposals of SQL callers to this node's worker, oldest first, each once.
--
-- Those of an earlier term are dropped: nobody may do today what was asked for long ago, when this node led without a
-- majority.  Who still waits for one hands it in again in each new term (node.propose).
create or replace function raft.take_inbox(p_max integer)
returns table (client uuid, sequence bigint, kind text, body jsonb)
language plpgsql volatile set search_path = '' as $$
begin
  return query
  with taken as (
    delete from raft.inbox as i
     where i.id in (select j.id from raft.inbox as j order by j.id limit p_max)
    returning i.*)
  select t.client, t.sequence, t.kind, t.body
    from taken as t where t.term = (select s.current_term from raft.hard_state as s) order by t.id;
end
$$;
