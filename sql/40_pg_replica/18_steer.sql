-- pause, resume and cancel: small decisions whose outcome is known as soon as they are committed.
create or replace function node.steer(p_kind text, p_args jsonb, p_by text) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_id      bigint  := (p_args ->> 'request_id')::bigint;
  v_paused  boolean := (select s.paused_why is not null from cluster.state as s);
  v_outcome text;
begin
  if p_kind = 'pause' and coalesce(trim(p_args ->> 'why'), '') = '' then
    raise exception using errcode = 'invalid_parameter_value', message = 'a pause needs a reason',
      hint = 'select pg_replica.pause(''storage is being moved'');';
  elsif p_kind = 'cancel' and not exists (select from cluster.request as r where r.request_id = v_id) then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('there is no request %s', coalesce(v_id::text, 'null')),
      hint = 'See pg_replica.requests().';
  end if;
  v_outcome := (node.propose(null, p_kind, p_args || jsonb_build_object('by', p_by))).outcome;
  return v_outcome = 'ok' and (p_kind <> 'resume' or v_paused);
end
$$;
