-- Take a member out.
--
-- That it is not out in time travels as RFP07: of a session of our own RF007 says that it did not answer.
create or replace function pgreplica.remove_node(p_node text, p_force boolean) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_detail text;
  v_hint   text;
begin
  return pgreplica.act('remove_node', jsonb_build_object('node', p_node, 'force', p_force))::boolean;
exception when sqlstate 'RFP07' then
  get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
  perform pgreplica.raise_as('RF007', sqlerrm, v_detail, v_hint);
end
$$;
comment on function pgreplica.remove_node(text, boolean) is 'Take a member out.';
