-- What became of a proposal; no row until it is applied here.
create or replace function raft.outcome(p_client uuid, p_sequence bigint)
returns table (log_index bigint, outcome text)
language plpgsql stable set search_path = '' as $$
begin
  return query
  select p.log_index, p.outcome from cluster.proposal as p
   where p.client = p_client and p.sequence = p_sequence;
end
$$;
