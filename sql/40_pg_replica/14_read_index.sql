-- A place in the log at or before which everything stands that was committed before this call: the leader tells it,
-- once a majority has confirmed meanwhile that it leads (R12).
--
-- Raises RF002 within p_limit_ms while nobody can say so.
create or replace function node.read_index(p_limit_ms integer default 3800) returns bigint
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_me      node.identity;
  v_leader  integer;
  v_why     text;
  v_started timestamptz;
  v_most    integer;
  v_spent   integer := 0;       -- milliseconds
begin
  select * into strict v_me from node.identity;
  while v_spent < p_limit_ms loop
    v_started := clock_timestamp();
    select h.leader_id into v_leader from raft.hard_state as h;
    v_most := 100;
    if v_leader is not null then
      v_most := 2500;
      begin
        if v_leader = v_me.node_id then
          return node.own_read_index(least(p_limit_ms, 1500));
        end if;
        return pgreplica.ask_each(node.conninfo_of(v_leader), array[
          format('select to_jsonb(peer.ask_read(%L, %s, %L))', v_me.cluster_id, v_me.node_id, v_me.incarnation),
          format('select to_jsonb(peer.read_index(%L, %s, %L))', v_me.cluster_id, v_me.node_id, v_me.incarnation)],
          array[least(p_limit_ms, 500), least(p_limit_ms, 1700)])::bigint;
      -- It is not the leader any more, or does not answer: another may be known in a moment.
      exception when connection_exception or admin_shutdown or crash_shutdown or cannot_connect_now
                  or too_many_connections or sqlstate 'RF001' or sqlstate 'RF002' or sqlstate 'RF007' then
        v_why := sqlerrm;
      end;
    end if;
    perform pg_sleep(0.02);
    v_spent := v_spent + pgreplica.passed_ms(v_started, 20, v_most);
  end loop;
  if v_leader is null then
    perform node.raise_no_leader(null, false, null);
  end if;
  raise exception using errcode = 'RF002', message = 'no majority has confirmed the leader in time',
    detail = format('Current leader: %s.  %s', v_leader, v_why),
    hint = 'With consistency => ''local'' this node answers alone, maybe with what is old; see pg_replica.status().';
end
$$;
