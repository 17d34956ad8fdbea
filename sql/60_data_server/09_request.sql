-- Ask for a failover or switchover.  A session that ends with it gets its answer before, and is told where to watch.
create or replace function pgreplica.request(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_row jsonb := pgreplica.act(p_function, p_args || jsonb_build_object('server',
                   case when pg_is_in_recovery() then 'standby' else 'primary' end));
begin
  if (v_row ->> 'ends')::boolean then
    raise notice using
      message = format('%s %s goes on; this session may end with it', p_function, v_row ->> 'request_id'),
      hint = format('Watch it on the control store: psql %L -c ''select * from pg_replica.requests()''',
                    coalesce(pgreplica.settings() ->> 'pgreplica.control_uri', 'of this node'));
  end if;
  return v_row;
end
$$;
comment on function pgreplica.request(text, jsonb) is
  'Ask for a failover or switchover through the control store of this node.';
