-- A store that forgot it, or never heard of it, learns from the stamps of its data what they followed (H56, H23).
create or replace function node.recall(p_epoch bigint) returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform set_config('synchronous_commit', 'on', true);
  update node.followed set epoch = p_epoch where epoch < p_epoch;
end
$$;
