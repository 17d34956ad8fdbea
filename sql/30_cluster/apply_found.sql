-- The first data directory: epoch 1.  Its node starts alone in the cohort, so k = 0 until the others attach.
--
-- The mode comes with it: nodes whose files differ must not decide differently.
create or replace function cluster.apply_found(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node integer := (p_body ->> 'node_id')::integer;
begin
  if exists (select from cluster.epoch) then
    return 'already_founded';
  end if;
  if not exists (select from cluster.member where node_id = v_node and data_port is not null) then
    return 'unknown_member';
  end if;
  update cluster.state
     set system_identifier = p_body ->> 'system_identifier', rule_k = 0, rule_cohort = array[v_node],
         mode = coalesce(p_body ->> 'mode', mode);
  insert into cluster.epoch (epoch, state, cause, reason, term, opened_at, appointed_at, node_id,
                             timeline, from_epoch, from_lsn)
  values (1, 'appointed', 'founding', format('node %s initialised the cluster', v_node), p_term,
          (p_body ->> 'at')::timestamptz, (p_body ->> 'at')::timestamptz, v_node,
          coalesce((p_body ->> 'timeline')::integer, 2), 0, null);
  update node.pledge set epoch = greatest(epoch, 1);
  perform cluster.note(p_term, p_body, 'cluster_founded', v_node, null, 'primary',
                       format('node %s initialised the cluster', v_node),
                       jsonb_build_object('system_identifier', p_body ->> 'system_identifier'));
  return 'ok';
end
$$;
