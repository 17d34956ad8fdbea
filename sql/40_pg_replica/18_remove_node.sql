-- Take a member out: the primary role and leadership move off it first.  True once it is gone; RFP07 (RF007 to callers,
-- pgreplica.remove_node) when it is not in time.
--
-- p_args: node, force (it is gone for good and need not answer), server as in node.request.
create or replace function node.remove_node(p_args jsonb, p_by text) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_id      integer := node.find_member(p_args ->> 'node');
  v_force   boolean := coalesce((p_args ->> 'force')::boolean, false);
  v_name    text    := (select m.name from cluster.member as m where m.node_id = v_id);
  v_key     uuid    := gen_random_uuid();
  v_left    record;
  v_outcome text;
  v_asked   cluster.request;
  v_looked  timestamptz;
  v_spent   integer := 0;       -- milliseconds
begin
  if v_id is null then
    raise exception using errcode = 'invalid_parameter_value', message = 'remove_node() needs a node',
      hint = 'select pg_replica.remove_node(''node3'');';
  end if;
  select count(*) as voters, count(*) filter (where s.fresh) as heard into v_left
    from node.seen as s where s.voter and s.node_id <> v_id;
  if v_left.heard < v_left.voters / 2 + 1 then
    raise exception using errcode = 'RF008',
      message = format('without %s a majority of the voters left does not answer: %s of %s do',
                       v_name, v_left.heard, v_left.voters),
      hint = 'See pg_replica.status(); force does not go below a majority.';
  elsif not v_force and not exists (select from node.seen as s where s.node_id = v_id and s.fresh) then
    raise exception using errcode = 'RF010',
      message = format('%s does not answer, and would not hear that it is out', v_name),
      hint = format('If it is gone for good: select pg_replica.remove_node(%L, force => true);', v_name);
  end if;
  if exists (select from cluster.newest_epoch() as e where e.node_id = v_id and e.state = 'serving') then
    perform node.request('switchover', jsonb_build_object('target', null), p_by);
  end if;
  v_outcome := (node.propose(v_key, 'leave', jsonb_build_object(
    'node_id', v_id, 'key', v_key, 'by', p_by, 'force', v_force))).outcome;
  if v_outcome <> 'ok' then
    perform node.raise_refused(format('%s cannot leave', v_name), v_outcome);
  end if;
  loop
    v_looked := clock_timestamp();
    select * into v_asked from cluster.request as r where r.key = v_key;
    exit when v_asked.state <> 'running' or v_spent >= 30000;
    perform pg_sleep(0.005);
    v_spent := v_spent + pgreplica.passed_ms(v_looked, 5, 100);
  end loop;
  if v_asked.state = 'failed' then
    perform node.raise_failed(v_asked);
  elsif v_asked.state = 'running' then
    raise exception using errcode = 'RFP07',
      message = format('%s is on its way out, and not gone after %s s', v_name, v_spent / 1000),
      detail = (select w.why from node.why as w where w.node_id = v_id),
      hint = 'It goes on: see pg_replica.requests() and pg_replica.members().';
  end if;
  return true;
end
$$;
