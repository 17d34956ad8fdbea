-- What users put into the log, in order.
create or replace function pg_replica.entries(
  after_index bigint default 0, max_rows integer default 1000
) returns table (
  index bigint, item integer, term bigint, data text, request_id text, proposed_by integer,
  proposed_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  with cursor as materialized (select node.entry_cursor(nullif(after_index, 0)) as place)
  select e.index, e.item, e.term, e.data, e.request_id, e.node_id, e.at
    from cluster.entry as e cross join cursor as c
   where e.index > c.place
     and e.index <= (
       select max(p.index) from (
         select n.index from cluster.entry as n where n.index > c.place
          order by n.index, n.item limit node.max_rows(max_rows, 1000)) as p)
   order by e.index, e.item;
$$;
comment on function pg_replica.entries(bigint, integer) is
  'What replicate() committed after after_index, in order, as far as this node has applied it: the same on every node. 0 begins with the oldest that is kept. RF005: what came right after after_index is forgotten. Some max_rows rows, and the rest of a batch they end in: the last index seen is where to go on, also after a reconnect. item counts within a batch. NOTIFY pg_replica_entry on the control store says when to look; this is the truth.';
