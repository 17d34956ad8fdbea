-- That the control store of this node does not answer, as callers are told.
create or replace function pgreplica.raise_silent(p_detail text) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  raise exception using errcode = 'sqlclient_unable_to_establish_sqlconnection',
    message = 'the control store of this node does not answer', detail = p_detail,
    hint = format('Is pg-replica running here?  Other nodes answer too; this one: %s',
                  pgreplica.settings() ->> 'pgreplica.control_uri');
end
$$;
comment on function pgreplica.raise_silent(text) is 'The control store of this node does not answer.';
