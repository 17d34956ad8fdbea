-- Hand something in (node.take_in), committed at once, whatever becomes of the caller's transaction.
--
-- Through a session that the caller's keeps, since a new one costs more than all the rest.  It can do nothing but this,
-- and is limited by itself; both ends are processes of one server.
create or replace function node.through_session(p_key uuid, p_kind text, p_body jsonb, p_ring boolean) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_what text := format('%L, %L, %L, %L', p_key, p_kind, p_body, p_ring);
  v_sql  text := format('select node.take_in(%L, %s)', node.sealed(v_what), v_what);
begin
  begin
    perform from pgreplica.dblink('pgreplica hand_in', v_sql) as r (done text);
    return;
  -- Not opened yet, or ended since.
  exception when connection_exception or admin_shutdown then
    perform pgreplica.dblink_disconnect('pgreplica hand_in')
      where 'pgreplica hand_in' = any (pgreplica.dblink_get_connections());
  end;
  perform pgreplica.dblink_connect('pgreplica hand_in', node.service_conninfo());
  perform from pgreplica.dblink('pgreplica hand_in', v_sql) as r (done text);
end
$$;
