-- What users put into the log after a place, as far as this node has applied it: at least one entry where there are
-- any, and then up to a megabyte.  At 0 nothing was taken yet: it begins with the oldest that is kept.
create or replace function node.entries_after(p_index bigint, p_item integer, p_most integer) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_agg(jsonb_build_object('index', r.index, 'item', r.item, 'term', r.term, 'data', r.data)
                   order by r.index, r.item)
    from (select node.entry_cursor(nullif(p_index, 0)) as place) as c
   cross join lateral (select e.*, sum(octet_length(e.data)) over w as bytes, row_number() over w as place
            from (select * from cluster.entry as n where (n.index, n.item) > (c.place, p_item)
                   order by n.index, n.item limit p_most) as e
          window w as (order by e.index, e.item)) as r
   where r.place = 1 or r.bytes <= 1000000;
$$;
