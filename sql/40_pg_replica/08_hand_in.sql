-- Hand a proposal, or a question for a read index, to this node's worker, which must lead (RF001): committed at once,
-- whatever becomes of the caller's transaction.  The ticket of a question.
--
-- Through a session that the caller's keeps, since a new one costs more than all the rest.  It can do nothing but this
-- (node.take_in), and is limited by itself; both ends are processes of one server.
create or replace function node.hand_in(p_what jsonb) returns bigint
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_sql    text := format('select node.take_in(%L, %L)', node.sealed(p_what::text), p_what);
  v_ticket bigint;
begin
  begin
    select r.ticket into v_ticket from pgreplica.dblink('pgreplica hand_in', v_sql) as r (ticket bigint);
    return v_ticket;
  -- Not opened yet, or ended since.
  exception when connection_exception or admin_shutdown then
    perform pgreplica.dblink_disconnect('pgreplica hand_in')
      where 'pgreplica hand_in' = any (pgreplica.dblink_get_connections());
  end;
  perform pgreplica.dblink_connect('pgreplica hand_in', node.service_conninfo());
  select r.ticket into v_ticket from pgreplica.dblink('pgreplica hand_in', v_sql) as r (ticket bigint);
  return v_ticket;
end
$$;
