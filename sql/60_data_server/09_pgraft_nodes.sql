-- What the view pgraft_get_nodes reads: who may read it need be granted nothing else.
create or replace function pgreplica.pgraft_nodes() returns table (
  node_id integer, address text, port integer, is_leader boolean, name text, is_voter boolean, is_self boolean,
  reachable boolean
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.pgraft_tell('get_nodes')) as r (
  node_id integer, address text, port integer, is_leader boolean, name text, is_voter boolean, is_self boolean,
  reachable boolean);
$$;
comment on function pgreplica.pgraft_nodes() is 'What the view pgraft_get_nodes reads.';
