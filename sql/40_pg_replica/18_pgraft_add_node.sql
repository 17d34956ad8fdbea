-- Make the node at an address a member, and wait until it votes.
create or replace function node.pgraft_add_node(p_args jsonb, p_by text) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_id      integer := (p_args ->> 'node_id')::integer;
  v_address text    := p_args ->> 'address';
  v_port    integer := (p_args ->> 'port')::integer;
  v_old     cluster.member;
  v_looked  timestamptz;
  v_spent   integer := 0;       -- milliseconds
begin
  if v_id is null or v_address is null or v_port is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'pgraft: node_id, address and port are needed';
  elsif v_id not between 1 and 1000 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('pgraft: invalid node_id %s, must be between 1 and 1000', v_id);
  elsif trim(v_address) = '' then
    raise exception using errcode = 'invalid_parameter_value', message = 'pgraft: address cannot be empty';
  elsif v_address !~ '^[A-Za-z0-9_.:/-]+$' then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('pgraft: invalid address %s', quote_literal(left(v_address, 100)));
  elsif v_port not between 1024 and 65535 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('pgraft: invalid port %s, must be between 1024 and 65535', v_port);
  end if;
  select * into v_old from cluster.member as m where m.node_id = v_id;
  if found and (v_old.control_host, v_old.control_port) <> (v_address, v_port) then
    raise exception using errcode = 'RF008',
      message = format('pgraft: node %s is a member already, at %s:%s', v_id, v_old.control_host, v_old.control_port);
  elsif not found then
    if (select count(*) from cluster.member) >= 16 then
      raise exception using errcode = 'invalid_parameter_value', message = 'pgraft: maximum number of nodes (16) reached';
    end if;
    perform node.pgraft_join(v_id, v_address, v_port, p_by);
  end if;
  loop
    v_looked := clock_timestamp();
    select * into v_old from cluster.member as m where m.node_id = v_id;
    exit when v_old.voter;
    if v_spent >= (p_args ->> 'limit_ms')::integer then
      raise exception using errcode = 'RFP07',
        message = (select format('pgraft: node %s is still catching up (%s of %s entries)', v_id,
                                 coalesce(o.raft ->> 'last', '0'), h.last_index)
                     from raft.hard_state as h left join node.observed as o on o.node_id = v_id),
        hint = 'It goes on by itself; the same call again waits for it.';
    end if;
    perform pg_sleep(0.01);
    v_spent := v_spent + pgreplica.passed_ms(v_looked, 10, 100);
  end loop;
  return true;
end
$$;
