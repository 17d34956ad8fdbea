-- Every initial data member has attached once, and the commit rule is at full strength.
create or replace function cluster.apply_formed(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  update cluster.state set formed = true where not formed;
  if found then
    perform cluster.note(p_term, p_body, 'cluster_formed', null, 'forming', 'formed',
                         'every initial member has attached');
  end if;
  return 'ok';
end
$$;
