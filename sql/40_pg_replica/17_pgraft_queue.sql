-- Commands that were given on this node: those nobody has an answer to yet, and the last hundred that have one.
--
-- An outcome that is unknown is known here as soon as the entry is applied, or never: then it is not shown.
create or replace function node.pgraft_queue() returns jsonb
language sql stable set search_path = '', pg_temp as $$
  with given as (
    select 1 as place, b.id, b.kind, b.body, null::bigint as index, 'pending' as status, null::text as outcome
      from raft.inbox as b
    union all
    (select 0, l.index, l.kind, l.body, l.index,
            case when p.outcome is null then 'pending'
                 when p.outcome in ('ok', 'absent') then 'committed' else 'failed' end,
            p.outcome
       from raft.log as l
       left join cluster.proposal as p on p.client = l.client and p.sequence = l.sequence
      where l.kind in ('entry', 'kv_set', 'kv_compact', 'kv_reset', 'add_member', 'leave')
        and (l.body ->> 'asked')::integer = (select i.node_id from node.identity as i)
      order by l.index desc limit 100)
  )
  select jsonb_agg(jsonb_build_object(
           'cmd_position', r.position, 'command', r.kind,
           'command_type', case r.kind when 'add_member' then 2 when 'leave' then 3 when 'entry' then 4
             when 'kv_compact' then 11 when 'kv_reset' then 12 else
               case when r.body ->> 'expected_version' is not null then 10
                    when r.body ->> 'value' is null then 9 else 8 end end,
           'node_id', case when r.kind in ('add_member', 'leave') then r.body -> 'node_id' end,
           'address', r.body ->> 'control_host', 'port', r.body -> 'control_port',
           'log_data', coalesce(r.body -> 'data' ->> 0, r.body ->> 'key'),
           'status', r.status, 'error', case when r.status = 'failed' then r.outcome end,
           'log_index', r.index, 'submitted_at', r.body -> 'at') order by r.position)
    from (select g.*, row_number() over (order by g.place, g.id) as position from given as g) as r;
$$;
