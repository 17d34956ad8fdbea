-- Let a node in, in the words of the pgraft interface.
create or replace function node.pgraft_join(p_id integer, p_address text, p_port integer, p_by text) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_detail text;
begin
  perform node.add_node(jsonb_build_object(
    'dsn', format('host=%s port=%s', p_address, p_port), 'node_id', p_id), p_by);
exception
  when sqlstate 'RF006' then
    get stacked diagnostics v_detail = pg_exception_detail;
    raise exception using errcode = 'RF006', detail = v_detail,
      message = format('pgraft: node %s at %s:%s does not answer', p_id, p_address, p_port),
      hint = 'Prepare it there with pg-replica init --join, and start pg-replica run.';
  when sqlstate 'RF010' or invalid_parameter_value then
    raise exception using errcode = 'RF008', message = 'pgraft: ' || sqlerrm;
end
$$;
