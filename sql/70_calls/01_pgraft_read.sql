-- What may have to wait, or change this node alone.
--
-- RF007 of the pgraft interface travels as RFP07: of a session of our own RF007 says that it did not answer.
create or replace function pgreplica.pgraft_read(p_function text, p_args jsonb default '{}') returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_detail text;
  v_hint   text;
begin
  return pgreplica.read('pgraft', p_args || jsonb_build_object(
    'function', p_function, 'limit_ms', pgreplica.pgraft_limit_ms()));
exception when sqlstate 'RFP07' then
  get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
  perform pgreplica.raise_as('RF007', sqlerrm, v_detail, v_hint);
end
$$;
comment on function pgreplica.pgraft_read(text, jsonb) is 'A read of the pgraft interface.';
