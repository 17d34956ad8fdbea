-- A majority was lost for good, and an operator said so by name (H49): this node goes on alone, the others are out.
--
-- Their incarnations are kept: whoever of them comes back is refused until it is made anew.  A new epoch is opened,
-- which this node alone answers; what is known to be lost stands in it.
create or replace function cluster.apply_recover(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_newest cluster.epoch := cluster.newest_epoch();
  v_node   integer := (p_body ->> 'node_id')::integer;
  v_at     timestamptz := (p_body ->> 'at')::timestamptz;
  v_old    integer;
  v_out    text;
begin
  if v_newest.epoch is null then
    return 'not_founded';
  elsif not exists (select from cluster.member where node_id = v_node and data_port is not null) then
    return 'unknown_member';
  end if;
  select e.node_id into v_old from cluster.epoch as e
   where e.node_id is not null order by e.epoch desc limit 1;
  select string_agg(m.name, ', ' order by m.node_id) into v_out
    from cluster.member as m where m.node_id <> v_node;
  insert into cluster.former_member (node_id, name, incarnation, at, reason)
  select m.node_id, m.name, m.incarnation, v_at, p_body ->> 'reason'
    from cluster.member as m where m.node_id <> v_node
  on conflict (node_id) do update
    set name = excluded.name, incarnation = excluded.incarnation, at = excluded.at, reason = excluded.reason;
  delete from cluster.member where node_id <> v_node;
  update cluster.member set voter = true, promotable = true, leaving = false, state = 'attached'
   where node_id = v_node;
  update cluster.state
     set rule_version = rule_version + 1, rule_k = 0, rule_cohort = array[v_node],
         next_k = null, next_cohort = null, paused_why = null, formed = true;
  update cluster.request set state = 'failed', reason = 'the cluster was recovered', finished_at = v_at
   where state in ('waiting', 'running');
  update cluster.epoch set state = 'superseded' where epoch = v_newest.epoch;
  insert into cluster.request (request_id, key, kind, state, args, from_node, epoch, requested_by, requested_at)
  select coalesce(max(r.request_id), 0) + 1, (p_body ->> 'key')::uuid, 'recover', 'running',
         jsonb_build_object('target', null, 'allow_data_loss', true, 'not_before', null, 'delay_ms', 0), v_old,
         v_newest.epoch + 1,
         p_body ->> 'by', v_at
    from cluster.request as r;
  insert into cluster.epoch (epoch, state, cause, reason, term, opened_at, old_primary, request_id, lost_bytes)
  select v_newest.epoch + 1, 'opened', 'recovered', p_body ->> 'reason', p_term, v_at, v_old,
         max(r.request_id), (p_body ->> 'lost_bytes')::bigint
    from cluster.request as r;
  update node.pledge set epoch = v_newest.epoch + 1 where epoch < v_newest.epoch + 1;
  perform cluster.note(p_term, p_body, 'cluster_recovered', v_node, v_newest.state, 'opened',
                       format('%s went on alone, by order of %s: %s; excluded: %s', v_node, p_body ->> 'by',
                              p_body ->> 'reason', coalesce(v_out, 'nobody')),
                       jsonb_build_object('known', p_body -> 'known', 'lost_bytes', p_body -> 'lost_bytes'));
  return 'ok';
end
$$;
