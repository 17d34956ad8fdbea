-- Ask the leader where everything committed until now stands in the log; the ticket, for whoever looks.
--
-- Makes nothing durable and takes no place in the log (Raft thesis §6.4).  Its worker answers after a round of
-- heartbeats that began later; peer.read_index waits for that, in a transaction after this one.
create or replace function peer.ask_read(p_cluster uuid, p_from integer, p_incarnation uuid) returns bigint
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_asked record;
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  perform raft.check_leads();
  v_asked := raft.ask_read();
  if v_asked.must_ring then
    perform pg_notify('pg_replica_wake', 'read');
  end if;
  return v_asked.ticket;
end
$$;
