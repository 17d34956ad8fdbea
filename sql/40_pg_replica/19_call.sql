-- The one door through which public functions reach this node from a session of their own: the acting ones of the
-- control store, and all of the data server.  p_by is who asked, told by a connection of pgreplica_caller's, which only
-- functions of ours open.  Statements, not one expression: a session that serves one call plans what is meant and
-- nothing else.
create or replace function node.call(p_function text, p_args jsonb, p_by text) returns jsonb
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  case p_function
    when 'status' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.status() as r);
    when 'cluster' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.cluster() as r);
    when 'primary' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.primary() as r);
    when 'members' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.members() as r);
    when 'history' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.history() as r);
    when 'progress' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.progress() as r);
    when 'requests' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.requests((p_args ->> 'max_rows')::integer) as r);
    when 'events' then
      return (select jsonb_agg(to_jsonb(r))
                from pg_replica.events((p_args ->> 'after_id')::bigint, (p_args ->> 'max_rows')::integer) as r);
    when 'settings' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.settings() as r);
    when 'explain' then
      return (select jsonb_agg(to_jsonb(r)) from pg_replica.explain(p_args ->> 'node') as r);
    when 'version' then
      return to_jsonb(pg_replica.version());
    when 'invitation' then
      return pg_replica.invitation();
    when 'leader' then
      return to_jsonb(pg_replica.leader());
    when 'is_leader' then
      return to_jsonb(pg_replica.is_leader());
    when 'term' then
      return to_jsonb(pg_replica.term());
    when 'failover', 'switchover' then
      return node.request(p_function, p_args, p_by);
    when 'pause', 'resume', 'cancel' then
      return to_jsonb(node.steer(p_function, p_args, p_by));
    when 'recover' then
      return node.recover(p_args, p_by);
    when 'entries' then
      return (select jsonb_agg(to_jsonb(r) order by r.index, r.item)
                from pg_replica.entries((p_args ->> 'after_index')::bigint, (p_args ->> 'max_rows')::integer) as r);
    when 'add_node' then
      return to_jsonb(node.add_node(p_args, p_by));
    when 'remove_node' then
      return to_jsonb(node.remove_node(p_args, p_by));
    when 'set_node' then
      return to_jsonb(node.set_node(p_args, p_by));
    when 'set' then
      return to_jsonb(node.set(p_args, p_by));
    else
      return node.serve(p_function, p_args, p_by);
  end case;
end
$$;
