-- The leader asks this node to campaign at once: leadership transfer.  Raft thesis §3.10.  Who cannot apply what is
-- committed would decide nothing, and says no.
create or replace function peer.take_lead(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_term bigint
) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  if not exists (
    select from raft.hard_state where current_term = p_term and leader_id = p_from and alarm is null
  ) then
    return false;
  end if;
  insert into raft.transfer (term) values (p_term)
  on conflict (singleton) do update set term = excluded.term;
  perform pg_notify('pg_replica_wake', 'transfer');
  return true;
end
$$;
