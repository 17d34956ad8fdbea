-- Open this session's connection to the control store of its node; true once that has answered.
create or replace function pgreplica.knock() returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  perform pgreplica.dblink_connect('pgreplica control', pgreplica.control_conninfo());
  return pgreplica.ask_over('pgreplica control', 'select to_jsonb(true)', 4000, '08001');
end
$$;
comment on function pgreplica.knock() is 'Open a connection to the control store of this node.';
