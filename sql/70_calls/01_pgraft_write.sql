-- A write of the pgraft interface.
--
-- RF007 of the pgraft interface travels as RFP07: of a session of our own RF007 says that it did not answer.
create or replace function pgreplica.pgraft_write(p_function text, p_args jsonb default '{}') returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_detail text;
  v_hint   text;
begin
  return pgreplica.write('pgraft', p_args || jsonb_build_object(
    'function', p_function, 'forward', current_setting('pgraft.forward_writes', true),
    'limit_ms', pgreplica.pgraft_limit_ms()));
exception when sqlstate 'RFP07' then
  get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
  perform pgreplica.raise_as('RF007', sqlerrm, v_detail, v_hint);
end
$$;
comment on function pgreplica.pgraft_write(text, jsonb) is 'A write of the pgraft interface.';
