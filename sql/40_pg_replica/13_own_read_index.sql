-- node.read_index on the leader's own store: the question is handed in, the answer waited for at the gate.
create or replace function node.own_read_index(p_limit_ms integer) returns bigint
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_gate    bigint := (select g.last_value from raft.gate as g);
  v_ticket  bigint := node.hand_in('{"kind": "read"}');
  v_started timestamptz;
  v_spent   integer := 0;       -- milliseconds
  v_index   bigint;
begin
  loop
    v_started := clock_timestamp();
    v_gate := node.pass_gate(v_gate);
    select c.index into v_index from raft.read_confirmed as c where c.ticket >= v_ticket;
    if found then
      return v_index;
    end if;
    perform raft.check_leads();
    v_spent := v_spent + pgreplica.passed_ms(v_started, 1, 200);
    if v_spent >= p_limit_ms then
      raise exception using errcode = 'RF002', message = 'no majority has confirmed this leader in time';
    end if;
  end loop;
end
$$;
