-- node.read_index on the leader's own store: asked by a ticket, the answer waited for at the gate.
create or replace function node.own_read_index(p_limit_ms integer) returns bigint
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_asked   record  := raft.ask_read();
  v_gate    bigint  := v_asked.gate;
  v_started timestamptz;
  v_spent   integer := 0;       -- milliseconds
  v_index   bigint;
begin
  if v_asked.must_ring then
    perform node.hand_in(null, 'read', null);
  end if;
  loop
    v_started := clock_timestamp();
    v_gate := node.pass_gate(v_gate);
    v_index := raft.read_index(v_asked.ticket);
    if v_index is not null then
      return v_index;
    end if;
    perform raft.check_leads();
    -- Whoever was to ring may have been ended before.
    perform node.hand_in(null, 'read', null);
    v_spent := v_spent + pgreplica.passed_ms(v_started, 1, 200);
    if v_spent >= p_limit_ms then
      raise exception using errcode = 'RF002', message = 'no majority has confirmed this leader in time';
    end if;
  end loop;
end
$$;
