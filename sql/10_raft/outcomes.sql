-- What became of a client's proposals with these numbers; none of those that are not applied here.
create or replace function raft.outcomes(p_client uuid, p_first bigint, p_last bigint)
returns table (sequence bigint, log_index bigint, outcome text)
language plpgsql stable set search_path = '' as $$
begin
  return query
  select p.sequence, p.log_index, p.outcome from cluster.proposal as p
   where p.client = p_client and p.sequence between p_first and p_last
   order by p.sequence;
end
$$;
