-- Take in what is seen of the other members; of itself a node knows better.  True when some of it is new.
create or replace function node.gossip(p_rows jsonb) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_row  node.observed;
  v_news boolean := false;
begin
  -- A store made anew counts its looks from one again: beyond those of its former life, or they are taken for older.
  perform setval('node.beat', r.beat)
    from jsonb_populate_recordset(null::node.observed, p_rows) as r
    join node.identity as i on i.node_id = r.node_id
   where r.beat > (select b.last_value from node.beat as b);
  for v_row in
    select r.* from jsonb_populate_recordset(null::node.observed, p_rows) as r
      join cluster.member as m on m.node_id = r.node_id
     where r.node_id <> (select i.node_id from node.identity as i)
     order by r.node_id
  loop
    -- When it was heard is told by this node's clock: the sender's may be wrong.
    v_row.observed_at := raft.now();
    v_news := node.put_observed(v_row) or v_news;
  end loop;
  perform node.put_progress(p_rows);
  return v_news;
end
$$;
