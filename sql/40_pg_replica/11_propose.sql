-- Hand a command to the leader and wait until this node has applied it; its outcome, `ok` or why it was refused.
--
-- Raises RF002 within p_limit_ms, by default five seconds at most, while there is no leader, or no majority that
-- commits.  A new leader gets the same proposal again: (p_key, 1) is applied once (H60), or refused where that cannot
-- be told any more (`since`, cluster.apply).  Time is counted step by step (pgreplica.passed_ms).
create or replace function node.propose(
  p_key uuid, p_kind text, p_body jsonb, p_limit_ms integer default 3800
) returns text
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_body    jsonb := p_body || jsonb_build_object('since', (select h.applied_index::text from raft.hard_state as h));
  v_outcome text;
  v_leader  integer;
  v_term    bigint;
  v_taken   bigint;             -- the term whose leader took it
  v_doubt   boolean := false;   -- a leader may have taken it
  v_why     text;
  v_me      integer := (select i.node_id from node.identity as i);
  v_gate    bigint;                       -- where it waits, when this node's worker has it
  v_started timestamptz;
  v_most    integer;
  v_spent   integer := 0;       -- milliseconds
begin
  while v_spent < p_limit_ms loop
    v_started := clock_timestamp();
    select p.outcome into v_outcome from cluster.proposal as p where p.client = p_key and p.sequence = 1;
    exit when found;
    select h.leader_id, h.current_term into v_leader, v_term from raft.hard_state as h;
    if v_leader is not null and v_taken is distinct from v_term
       and v_spent < greatest(p_limit_ms - 1300, p_limit_ms / 2) then
      v_most := 2500;
      begin
        if v_leader = v_me then
          v_gate := (select g.last_value from raft.gate as g);
          perform node.hand_in(jsonb_build_object('key', p_key, 'kind', p_kind, 'body', v_body));
        else
          v_gate := null;
          perform pgreplica.ask(pgreplica.own_conninfo(3000),
            format('select to_jsonb(true) from node.submit(%s, %L, %L, %L)', v_leader, p_key, p_kind, v_body),
            least(p_limit_ms, 2000));
        end if;
        v_taken := v_term;
      -- It is not the leader any more, or does not answer: another may be known in a moment.
      exception when connection_exception or admin_shutdown or crash_shutdown or cannot_connect_now
                  or too_many_connections or sqlstate 'RF001' or sqlstate 'RF007' then
        v_gate := null;
        v_why := sqlerrm;
        -- Not after these: it was refused, or nobody was reached.
        v_doubt := v_doubt or sqlstate not in ('RF001', '08000', '08001');
        perform pg_sleep(0.05);
      end;
    else
      v_most := 200;
      if v_gate is null then
        perform pg_sleep(0.002);
      end if;
    end if;
    if v_gate is not null then
      v_gate := node.pass_gate(v_gate);
    end if;
    v_spent := v_spent + pgreplica.passed_ms(v_started, 1, v_most);
  end loop;
  if v_outcome is null or v_outcome = 'too_late' then
    if v_outcome = 'too_late' or v_taken is not null or v_doubt then
      perform node.raise_unknown(p_kind, v_leader, v_spent);
    end if;
    perform node.raise_no_leader(v_leader, v_taken is not null, v_why);
  end if;
  return v_outcome;
end
$$;
