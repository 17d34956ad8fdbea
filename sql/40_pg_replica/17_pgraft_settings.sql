-- The settings `pgraft.*` in this control server's configuration files, by name without the prefix: those that the
-- worker takes from here.  One that is unknown, out of range, or says otherwise than node.yaml is refused.
--
-- p_timing: the timers of node.yaml.
create or replace function node.pgraft_settings(p_timing jsonb) returns jsonb
language plpgsql stable set search_path = '', pg_temp as $$
declare
  v_one    record;
  v_number bigint;
  v_all    jsonb := '{}';
begin
  for v_one in
    select distinct on (f.name) f.name, f.setting, f.sourcefile, f.sourceline, k.name is not null as known,
           k.least, k.most, k.allowed, k.place
      from pg_file_settings as f
      left join (
        select i.node_id::text, i.cluster_name, m.control_host, m.control_port::text
          from node.identity as i left join cluster.member as m on m.node_id = i.node_id
      ) as me (node_id, cluster_name, host, port) on true
      left join lateral (values
        ('election_timeout', 100, 30000, null, null), ('heartbeat_interval', 10, 10000, null, null),
        ('snapshot_count', 100, 1000000, null, null), ('max_log_entries', 100, 1000000, null, null),
        ('request_timeout', 100, 600000, null, null), ('forward_writes', null, null, '{on,off,true,false}', null),
        ('node_id', null, null, array[me.node_id]::text, 'node.id'),
        ('cluster_id', null, null, array[me.cluster_name]::text, 'cluster'),
        ('address', null, null, array[me.host]::text, 'control.host'),
        ('port', null, null, array[me.port]::text, 'control.port'),
        ('max_value_bytes', null, null, '{1048576}', 'nowhere: it is fixed'),
        ('bootstrap', null, null, '{off,false}', 'peers, before pg-replica init'),
        ('data_dir', null, null, '{}', 'control.dir'),
        ('log_level', null, null, '{debug,info,warn,error}', null),
        ('ssl_enabled', null, null, '{off,false}', 'tls'), ('ssl_cert_file', null, null, '{""}', 'tls'),
        ('ssl_key_file', null, null, '{""}', 'tls'), ('ssl_ca_file', null, null, '{""}', 'tls')
      ) as k (name, least, most, allowed, place) on f.name = 'pgraft.' || k.name
     where f.name like 'pgraft.%'
     order by f.name, f.seqno desc
  loop
    v_number := coalesce(substring(v_one.setting from '^(\d{1,9})(?:ms)?$')::bigint,
                         substring(v_one.setting from '^(\d{1,6})s$')::bigint * 1000);
    if not v_one.known then
      raise exception using errcode = 'invalid_parameter_value',
        message = format('pgraft: unknown setting %s', v_one.name),
        detail = format('%s, line %s.', v_one.sourcefile, v_one.sourceline);
    elsif v_one.least is not null and v_number between v_one.least and v_one.most is not true then
      raise exception using errcode = 'invalid_parameter_value',
        message = format('pgraft: %s is %s, must be between %s and %s',
                         v_one.name, v_one.setting, v_one.least, v_one.most),
        detail = format('%s, line %s.', v_one.sourcefile, v_one.sourceline);
    elsif v_one.place is null and lower(v_one.setting) <> all (v_one.allowed::text[]) then
      raise exception using errcode = 'invalid_parameter_value',
        message = format('pgraft: %s is %s, must be one of %s', v_one.name, quote_literal(v_one.setting),
                         array_to_string(v_one.allowed::text[], ', ')),
        detail = format('%s, line %s.', v_one.sourcefile, v_one.sourceline);
    elsif v_one.allowed is not null and lower(v_one.setting) <> all (coalesce(v_one.allowed::text[], '{}')) then
      raise exception using errcode = 'invalid_parameter_value',
        message = format('pgraft: %s is %s here, and set elsewhere', v_one.name, quote_literal(v_one.setting)),
        detail = format('%s, line %s.', v_one.sourcefile, v_one.sourceline),
        hint = 'In node.yaml: ' || v_one.place || '; it counts from a start of the worker on.';
    elsif v_one.least is not null then
      v_all := v_all || jsonb_build_object(substring(v_one.name from 8), v_number);
    elsif v_one.place is null then
      v_all := v_all || jsonb_build_object(substring(v_one.name from 8), lower(v_one.setting));
    end if;
  end loop;
  perform node.pgraft_check_timing(v_all, p_timing);
  return v_all;
end
$$;
