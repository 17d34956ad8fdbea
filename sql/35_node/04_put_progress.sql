-- The long jobs of the other members, as their own rows tell; a row without one ends it.  Mostly there is none.
create or replace function node.put_progress(p_rows jsonb) returns void
language plpgsql volatile set search_path = '' as $$
begin
  if not p_rows @? '$[*].progress.job' and not exists (select from node.progress) then
    return;
  end if;

  delete from node.progress as p
   using jsonb_array_elements(p_rows) as r (row), node.identity as i
   where p.node_id = (r.row ->> 'node_id')::integer and p.node_id <> i.node_id
     and r.row ? 'progress';
  insert into node.progress
  select p.*
    from jsonb_array_elements(p_rows) as r (row)
   cross join node.identity as i
   cross join jsonb_populate_record(null::node.progress, r.row -> 'progress') as p
   where jsonb_typeof(r.row -> 'progress') = 'object'
     and p.node_id = (r.row ->> 'node_id')::integer and p.node_id <> i.node_id
  on conflict (node_id) do nothing;
end
$$;
