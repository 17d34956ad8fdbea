-- Entries for a follower, in order, at least one and then up to p_max_bytes of bodies.
create or replace function raft.read_log(
  p_from bigint, p_max_entries integer, p_max_bytes bigint
) returns table (index bigint, term bigint, kind text, client uuid, sequence bigint, body jsonb)
language plpgsql stable set search_path = '' as $$
begin
  return query
  select t.index, t.term, t.kind, t.client, t.sequence, t.body
    from (select l.*, sum(octet_length(l.body::text)) over (order by l.index) as bytes
            from raft.log as l
           where l.index >= p_from and l.index < p_from + p_max_entries) as t
   where t.index = p_from or t.bytes <= p_max_bytes
   order by t.index;
end
$$;
