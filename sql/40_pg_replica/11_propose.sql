-- Hand a command to the leader and wait until this node has applied it: its place in the log, and its outcome, `ok` or
-- why it was refused.  p_key null: it is a new one.  The body also tells when and on which node it was asked for.
--
-- A key that was used before: place and outcome are those of its first time (H60).  A new leader gets the same proposal
-- again: (key, 1) is applied once, or refused where that cannot be told any more (`since`, cluster.apply).
--
-- Raises RF002 within p_limit_ms, by default five seconds at most, while there is no leader, or no majority that
-- commits.  Time is counted step by step (pgreplica.passed_ms).
create or replace function node.propose(
  p_key uuid, p_kind text, p_body jsonb, p_limit_ms integer default 3800, out log_index bigint, out outcome text
)
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_key     uuid := coalesce(p_key, gen_random_uuid());
  v_body    jsonb;
  v_here    record;             -- what this node knows
  v_taken   bigint;             -- the term whose leader took it
  v_doubt   boolean := false;   -- a leader may have taken it
  v_why     text;
  v_gate    bigint;             -- where it waits, when this node's worker has it
  v_started timestamptz;
  v_most    integer;
  v_spent   integer := 0;       -- milliseconds
begin
  loop
    v_started := clock_timestamp();
    -- One query, for it is all there is to do between two waits.
    select i.node_id as me, h.leader_id as leader, h.current_term as term, h.applied_index as applied,
           g.last_value as gate, p.outcome, p.log_index
      into strict v_here
      from node.identity as i cross join raft.hard_state as h cross join raft.gate as g
      left join cluster.proposal as p on p.client = v_key and p.sequence = 1;
    exit when v_here.outcome is not null or v_spent >= p_limit_ms;
    if v_here.leader is not null and v_taken is distinct from v_here.term
       and v_spent < greatest(p_limit_ms - 1300, p_limit_ms / 2) then
      v_body := coalesce(v_body, p_body || jsonb_build_object(
        'at', raft.now(), 'asked', v_here.me, 'since', v_here.applied::text));
      v_most := 2500;
      v_gate := case when v_here.leader = v_here.me then v_here.gate end;
      begin
        if v_gate is not null then
          perform node.hand_in(v_key, p_kind, v_body);
        else
          perform pgreplica.ask(pgreplica.own_conninfo('pgreplica_caller', 3000),
            format('select to_jsonb(true) from node.submit(%s, %L, %L, %L)', v_here.leader, v_key, p_kind, v_body),
            least(p_limit_ms, 2000));
        end if;
        v_taken := v_here.term;
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
  log_index := v_here.log_index;
  outcome := v_here.outcome;
  if outcome is null or outcome = 'too_late' then
    if outcome = 'too_late' or v_taken is not null or v_doubt then
      perform node.raise_unknown(p_kind, v_here.leader, v_spent);
    end if;
    perform node.raise_no_leader(v_here.leader, v_taken is not null, v_why);
  end if;
end
$$;
