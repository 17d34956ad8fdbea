-- Refuse strangers: another cluster, a non-member, an older incarnation, or a login that is not the sender's (H55).
create or replace function raft.check_sender(p_cluster uuid, p_from integer, p_incarnation uuid)
returns void
language plpgsql stable set search_path = '' as $$
declare
  v_me     node.identity;
  v_member cluster.member;
begin
  select * into strict v_me from node.identity;
  if p_cluster is distinct from v_me.cluster_id then
    raise exception using errcode = 'RF008',
      message = format('node %s belongs to another cluster', p_from),
      detail = format('It sent cluster id %s; this is %s (%s).',
                      p_cluster, v_me.cluster_id, v_me.cluster_name),
      hint = 'Compare the cluster name and the peers in both configurations.';
  end if;

  select * into v_member from cluster.member where node_id = p_from;
  if not found then
    perform raft.check_unknown(p_from, p_incarnation, v_me);
  end if;
  if v_member.incarnation is distinct from p_incarnation and v_member.incarnation is not null then
    raise exception using errcode = 'RF008',
      message = format('node %s is not the incarnation this cluster knows', p_from),
      detail = format('It sent %s; registered is %s.', p_incarnation, v_member.incarnation),
      hint = 'Its control store was made anew: it may not vote under its old identity.';
  end if;
  if session_user <> 'pgreplica_node_' || p_from
     and not (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = session_user) then
    raise exception using errcode = 'RF008',
      message = format('login %s may not speak for node %s', session_user, p_from);
  end if;
end
$$;
