-- The functions of the log as a service.  Statements, not one expression: only the one that is meant is prepared.
create or replace function node.serve(p_function text, p_args jsonb, p_by text) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  case p_function
    when 'replicate' then
      return to_jsonb(node.replicate(p_args));
    when 'kv_put', 'kv_delete', 'kv_cas' then
      return node.kv_write(p_function, p_args);
    when 'kv_compact' then
      return to_jsonb((node.propose(null, 'kv_compact', '{}')).outcome = 'ok');
    when 'kv_get', 'kv_get_entry', 'kv_exists', 'kv_list', 'kv_history' then
      return node.kv_read(p_function, p_args);
    when 'pgraft' then
      return node.pgraft(p_args, p_by);
  end case;
end
$$;
