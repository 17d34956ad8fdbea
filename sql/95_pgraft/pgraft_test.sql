-- A self-test of this node.
create or replace function public.pgraft_test() returns boolean
language plpgsql stable security definer set search_path = '', pg_temp as $$
declare
  v_finding text;
begin
  for v_finding in select f.finding from jsonb_array_elements_text(pgreplica.pgraft_tell('test')) as f (finding) loop
    raise warning 'pgraft: %', v_finding;
  end loop;
  return not found;
end
$$;
comment on function public.pgraft_test() is
  'A self-test of this node: durability settings, a log without gaps whose checksums hold, indexes in order, a worker that lives. False with a warning for each finding.';
