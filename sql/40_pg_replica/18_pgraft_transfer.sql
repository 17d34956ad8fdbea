-- Move leadership of the log, and wait until this node knows the new leader in a newer term.
create or replace function node.pgraft_transfer(p_to integer, p_limit_ms integer) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_me     node.identity;
  v_term   bigint;
  v_leader integer;
  v_to     integer;
  v_now    record;
  v_looked timestamptz;
  v_spent  integer := 0;        -- milliseconds
begin
  select * into strict v_me from node.identity;
  select h.current_term, h.leader_id into v_term, v_leader from raft.hard_state as h;
  if v_leader is null then
    perform node.raise_no_leader(null, false, null);
  elsif p_to = v_leader then
    return true;
  elsif v_leader = v_me.node_id then
    v_to := node.give_lead(p_to);
  else
    v_to := pgreplica.ask(node.conninfo_of(v_leader), format('select to_jsonb(peer.give_lead(%L, %s, %L, %L))',
              v_me.cluster_id, v_me.node_id, v_me.incarnation, p_to), 2000)::integer;
  end if;
  loop
    v_looked := clock_timestamp();
    select h.current_term as term, h.leader_id as leader into v_now from raft.hard_state as h;
    exit when v_now.term > v_term and v_now.leader = v_to;
    if v_spent >= p_limit_ms or v_to is null then
      raise exception using errcode = 'RFP07',
        message = format('pgraft: %s does not lead after %s ms', coalesce('node ' || v_to, 'who was asked'), v_spent),
        detail = format('Current leader: %s.', coalesce(v_now.leader::text, 'none'));
    end if;
    perform pg_sleep(0.005);
    v_spent := v_spent + pgreplica.passed_ms(v_looked, 5, 100);
  end loop;
  return true;
end
$$;
