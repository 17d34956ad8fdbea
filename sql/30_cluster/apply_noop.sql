-- A leader's first entry: everything before it is now committed too.  Raft §5.4.2.
create or replace function cluster.apply_noop(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  perform cluster.note(p_term, p_body, 'leader_elected', (p_body ->> 'node_id')::integer, null, 'leader',
                       format('node %s won term %s', p_body ->> 'node_id', p_term));
  return 'ok';
end
$$;
