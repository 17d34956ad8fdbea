-- Why a member has its goal: the facts, and the rows of the rule tables that decided.
create or replace function pg_replica.explain(node text)
returns table (pos integer, fact text, value text, verdict text)
language sql volatile security definer set search_path = '', pg_temp set jit = off as $$
  select x.pos, x.fact, x.value, x.verdict
    from node.find_member(node) as t (node_id)
    join cluster.member as m on m.node_id = t.node_id
    join node.seen as s on s.node_id = m.node_id
    join node.why as w on w.node_id = m.node_id
    join cluster.goal as g on g.node_id = m.node_id
   cross join raft.hard_state as h
   cross join cluster.state as c
   cross join cluster.newest_epoch() as e
   cross join node.failover_verdict as f
   cross join lateral (values
     (10, 'member', format('%s (%s), %s', m.node_id, m.name, m.state),
          case when s.witness then 'a witness: votes only'
               when m.promotable then format('may become primary, priority %s', m.priority)
               else 'may not become primary' end),
     (20, 'vote', s.raft_role, case when m.voter then 'counts for the majority' else 'does not vote' end),
     (30, 'newest epoch', coalesce(e.epoch || ', ' || e.state, 'none'),
          coalesce(e.reason, 'no primary was ever appointed')),
     (40, 'primary', coalesce('node ' || e.node_id, 'none'),
          case when e.node_id = m.node_id then 'it is this member' else 'it is not this member' end),
     (50, 'commit rule', coalesce(nullif(cluster.standby_names(), ''), 'none'),
          case when m.node_id = any (coalesce(c.next_cohort, c.rule_cohort)) then 'speaks of it'
               else 'does not speak of it' end),
     (60, 'observed', case when s.observed_at is null then 'never'
                           else format('%s, %s, epoch %s, %s s ago', s.role, s.state, s.epoch, s.age_s) end,
          w.why),
     (70, 'report', case when s.can_report then 'possible' else 'not possible' end,
          case when s.can_report then 'counts for a failover' else 'does not count for a failover' end),
     (80, 'pause', coalesce(c.paused_why, 'none'),
          case when c.paused_why is null then 'failover is automatic' else 'no automatic failover' end),
     (g.pos, 'goal', g.goal, g.why),
     (1000 + f.pos, 'failover', f.failover, f.why)
   ) as x (pos, fact, value, verdict)
   order by x.pos;
$$;
comment on function pg_replica.explain(text) is
  'Why a member (name or number) has its goal: what was looked at and, with their position, the rows of the rule tables that decided.';

create or replace function pg_replica.explain(node integer)
returns table (pos integer, fact text, value text, verdict text)
language sql volatile security definer set search_path = '', pg_temp set jit = off as $$
  select e.pos, e.fact, e.value, e.verdict from pg_replica.explain(node::text) as e;
$$;
comment on function pg_replica.explain(integer) is
  'Why a member (its number) has its goal: what was looked at and, with their position, the rows of the rule tables that decided.';
