-- This node has no long job any more.
create or replace function node.clear_progress() returns void
language sql volatile set search_path = '' as $$
  delete from node.progress as p using node.identity as i where p.node_id = i.node_id;
$$;
