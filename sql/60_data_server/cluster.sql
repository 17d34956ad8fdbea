-- The cluster as a whole, in one row, from the control store of this node.
create or replace function pg_replica.cluster() returns table (
  cluster_id text, system_identifier text, leader_id integer, primary_id integer, term bigint,
  epoch bigint, members integer, voters integer, quorum integer, has_quorum boolean,
  writable boolean, commit_rule text, failover text, failover_reason text, paused boolean
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('cluster')) as r (
    cluster_id text, system_identifier text, leader_id integer, primary_id integer,
    term bigint, epoch bigint, members integer, voters integer, quorum integer,
    has_quorum boolean, writable boolean, commit_rule text, failover text,
    failover_reason text, paused boolean);
$$;
comment on function pg_replica.cluster() is
  'One row: who leads, who is primary, what a commit needs, and whether a failover could succeed now. Answered from what this node knows, without asking anyone.';
