-- What this node's worker is doing, in the words of the pgraft interface.
create or replace function node.pgraft_worker_state() returns text
language sql stable set search_path = '', pg_temp as $$
  select case when t.lives is not true      then 'stopped'
              when h.alarm is not null      then 'error'
              when m.node_id is null        then 'initializing'
              else 'running' end
    from raft.hard_state as h
   cross join node.told as t
    left join node.identity as i on i.singleton
    left join cluster.member as m on m.node_id = i.node_id;
$$;
