-- The committed membership, from the control store of this node.
create or replace function pg_replica.members() returns table (
  node_id integer, name text, host text, port integer, control_host text, control_port integer,
  voter boolean, promotable boolean, priority integer, sync boolean, state text, joined_at timestamptz,
  clone_from boolean
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('members')) as r (
    node_id integer, name text, host text, port integer, control_host text,
    control_port integer, voter boolean, promotable boolean, priority integer, sync boolean,
    state text, joined_at timestamptz, clone_from boolean);
$$;
comment on function pg_replica.members() is 'The committed membership, one row per member.';
