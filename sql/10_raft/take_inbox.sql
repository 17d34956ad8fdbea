-- Hand the proposals of SQL callers to this node's worker, oldest first, each once.
create or replace function raft.take_inbox(p_max integer)
returns table (client uuid, sequence bigint, kind text, body jsonb)
language plpgsql volatile set search_path = '' as $$
begin
  return query
  delete from raft.inbox as i
   where i.id in (select j.id from raft.inbox as j order by j.id limit p_max)
  returning i.client, i.sequence, i.kind, i.body;
end
$$;
