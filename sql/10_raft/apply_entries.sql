-- Apply what users put into the log, when what is committed and not applied is nothing else: all of it by one
-- statement, as each by itself (cluster.apply, cluster.apply_entry) would leave it.  False: nothing was applied.
--
-- Of one proposal that stands there twice the first counts (H60).  One of them that cannot be applied fails them all:
-- which, shows when they are applied one by one.  The newest place rings for all.
create or replace function raft.apply_entries(p_after bigint, p_through bigint) returns boolean
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_last   cluster.entry;
  v_newest jsonb;
begin
  if exists (select from raft.log as l where l.index > p_after and l.index <= p_through and l.kind <> 'entry') then
    return false;
  end if;
  select e.* into v_last from cluster.entry as e order by e.index desc, e.item desc limit 1;
  -- Earlier proposals are looked for one by one: a join would read all there ever were.  Each body is unpacked once.
  with fresh as materialized (
    select distinct on (l.client, l.sequence)
           l.index, l.term, l.client, l.sequence, b.data, b.request_id, b.asked, b.at, case
             when b.since < s.proposals_through then 'too_late'
             when b.term <> l.term              then 'stale_term'
             else 'ok'
           end as outcome
      from raft.log as l cross join cluster.state as s
     cross join jsonb_to_record(l.body) as b (
             data jsonb, request_id text, asked integer, at timestamptz, since bigint, term bigint)
     where l.index > p_after and l.index <= p_through
       and (select p.log_index from cluster.proposal as p
             where p.client = l.client and p.sequence = l.sequence) is null
     order by l.client, l.sequence, l.index
  ), proposals as (
    insert into cluster.proposal (client, sequence, log_index, outcome)
    select f.client, f.sequence, f.index, f.outcome from fresh as f
  ), items as (
    insert into cluster.entry (index, item, term, data, request_id, node_id, at, number, total_bytes)
    select f.index, d.item, f.term, d.data, f.request_id, f.asked, f.at,
           coalesce(v_last.number, 0) + row_number() over w,
           coalesce(v_last.total_bytes, 0) + sum(octet_length(d.data)) over w
      from fresh as f cross join jsonb_array_elements_text(f.data) with ordinality as d (data, item)
     where f.outcome = 'ok'
    window w as (order by f.index, d.item rows unbounded preceding)
  )
  select jsonb_build_object('index', f.index, 'items', jsonb_array_length(f.data)) into v_newest
    from fresh as f where f.outcome = 'ok' order by f.index desc limit 1;
  if v_newest is not null then
    perform pg_notify('pg_replica_entry', v_newest::text);
  end if;
  return true;
exception when others then
  return false;
end
$$;
