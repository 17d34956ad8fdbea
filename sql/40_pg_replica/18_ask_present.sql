-- Ask the control store at a dsn who it is: RF006 when nothing of ours answers there, RF008 when it is a stranger's.
create or replace function node.ask_present(p_dsn text) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_me     node.identity;
  v_place  record;
  v_detail text;
begin
  select * into strict v_me from node.identity;
  select * into strict v_place from node.place_of(p_dsn);
  return pgreplica.ask(node.conninfo_to(v_place.host, v_place.port),
    format('select present from peer.present(p_cluster => %L, p_from => %s, p_incarnation => %L)',
           v_me.cluster_id, v_me.node_id, v_me.incarnation), 4000);
exception when connection_exception or undefined_function or invalid_schema_name or query_canceled
            or sqlstate 'RF007' then
  get stacked diagnostics v_detail = pg_exception_detail;
  raise exception using errcode = 'RF006',
    message = format('no node of this cluster answers at %s:%s', v_place.host, v_place.port),
    detail = coalesce(nullif(v_detail, ''), sqlerrm),
    hint = 'Prepare it there with pg-replica init --join, start pg-replica run, and name its control store''s address.';
end
$$;
