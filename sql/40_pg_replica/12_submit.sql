-- One try to hand a proposal to the worker of another node that leads.  Runs in a session of its own (node.propose),
-- which can be left behind.
create or replace function node.submit(p_leader integer, p_key uuid, p_kind text, p_body jsonb) returns void
language plpgsql volatile security definer set search_path = '', pg_temp as $$
declare
  v_me node.identity;
begin
  select * into strict v_me from node.identity;
  perform pgreplica.ask(node.conninfo_of(p_leader),
    format('select to_jsonb(true) from peer.submit(p_cluster => %L, p_from => %s, p_incarnation => %L,'
           ' p_key => %L, p_kind => %L, p_body => %L)',
           v_me.cluster_id, v_me.node_id, v_me.incarnation, p_key, p_kind, p_body), 1500);
end
$$;
