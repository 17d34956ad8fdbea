-- A member says where it is reached from now on: kept for this node's worker, which tries there (RF008 for any other
-- member's place).
create or replace function node.hear_move(p_from integer, p_incarnation uuid, p_body jsonb) returns void
language plpgsql volatile set search_path = '' as $$
begin
  if (p_body ->> 'node_id')::integer is distinct from p_from
     or (p_body ->> 'incarnation')::uuid is distinct from p_incarnation then
    raise exception using errcode = 'RF008', message = format('node %s may move nobody but itself', p_from);
  end if;
  insert into node.heard_place as h (node_id, host, port)
  values (p_from, p_body ->> 'control_host', (p_body ->> 'control_port')::integer)
  on conflict (node_id) do update set host = excluded.host, port = excluded.port
   where (h.host, h.port) is distinct from (excluded.host, excluded.port);
  if found then
    perform pg_notify('pg_replica_wake', 'moved');
  end if;
end
$$;
