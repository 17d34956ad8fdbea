-- Changes nothing: whoever has applied it has applied all that was committed before it was asked for.
create or replace function cluster.apply_barrier(p_body jsonb) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return 'ok';
end
$$;
