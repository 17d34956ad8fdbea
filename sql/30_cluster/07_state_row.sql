-- All there is of the replicated state, row by row: what a snapshot holds (R11).
--
-- Whatever cluster.apply writes stands here, in cluster.put_rows and in cluster.replace_state, or it is lost by whoever
-- is served a snapshot: outcomes of proposals, and a retry is applied again (H60); an epoch, and with it a pledge.
create or replace view cluster.state_row as
select 'state' as of_table, to_jsonb(t) as content from cluster.state as t
union all select 'setting', to_jsonb(t) from cluster.setting as t
union all select 'member', to_jsonb(t) from cluster.member as t
union all select 'former_incarnation', to_jsonb(t) from cluster.former_incarnation as t
union all select 'former_member', to_jsonb(t) from cluster.former_member as t
union all select 'epoch', to_jsonb(t) from cluster.epoch as t
union all select 'request', to_jsonb(t) from cluster.request as t
union all select 'event', to_jsonb(t) from cluster.event as t
union all select 'proposal', to_jsonb(t) from cluster.proposal as t
union all select 'entry', to_jsonb(t) from cluster.entry as t
union all select 'kv', to_jsonb(t) from cluster.kv as t
union all select 'kv_total', to_jsonb(t) from cluster.kv_total as t;
