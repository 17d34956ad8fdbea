-- Before the number in the data directory changes, and after: which numbers are this life's (H56).
create or replace function node.set_data_life(p_known text[]) returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform set_config('synchronous_commit', 'on', true);
  update node.data_life set known = p_known;
end
$$;
