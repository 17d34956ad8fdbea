-- Entries for a follower, in order, at least one and then up to p_max_bytes of bodies.
--
-- Nothing behind the last one is looked at: a body is unpacked to be measured, and hundreds may be large.
create or replace function raft.read_log(
  p_from bigint, p_max_entries integer, p_max_bytes bigint
) returns table (index bigint, term bigint, kind text, client uuid, sequence bigint, body jsonb)
language plpgsql stable set search_path = '' as $$
declare
  v_bytes bigint := 0;
begin
  for index, term, kind, client, sequence, body in
    select l.index, l.term, l.kind, l.client, l.sequence, l.body
      from raft.log as l
     where l.index >= p_from and l.index < p_from + p_max_entries
     order by l.index
  loop
    v_bytes := v_bytes + octet_length(body::text);
    exit when v_bytes > p_max_bytes and index > p_from;
    return next;
  end loop;
end
$$;
