-- A store made anew learns from the stamps of its data what it had followed or led (H56).
create or replace function node.recall(p_epoch bigint) returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform set_config('synchronous_commit', 'on', true);
  update node.followed set epoch = p_epoch where epoch < p_epoch;
end
$$;
