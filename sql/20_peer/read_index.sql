-- Wait for the answer to this session's peer.ask_read; RF001 when this node leads no longer, RF002 when no majority
-- confirms in time that it does.
create or replace function peer.read_index(p_cluster uuid, p_from integer, p_incarnation uuid) returns bigint
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_ticket bigint  := currval('raft.read_asked');
  v_spent  integer := 0;        -- milliseconds
  v_looked timestamptz;
  v_index  bigint;
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  loop
    v_looked := clock_timestamp();
    v_index := raft.read_index(v_ticket);
    if v_index is not null then
      return v_index;
    end if;
    perform raft.check_leads();
    if v_spent >= 1500 then
      raise exception using errcode = 'RF002', message = 'no majority has confirmed this leader in time';
    end if;
    perform pg_sleep(0.0005);
    v_spent := v_spent + pgreplica.passed_ms(v_looked, 1, 100);
  end loop;
end
$$;
