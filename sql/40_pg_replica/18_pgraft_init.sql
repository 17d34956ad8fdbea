-- Is this node ready to be a member?  Made it was by `pg-replica init`; its founders, or the leader, let it in.
create or replace function node.pgraft_init() returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_off text := (select string_agg(s.name, ', ' order by s.name) from pg_settings as s
                  where s.name in ('fsync', 'full_page_writes', 'synchronous_commit') and s.setting = 'off');
begin
  if not exists (select from node.identity) then
    raise exception using errcode = 'RF012', message = 'pgraft: not initialized', hint = 'Run pg-replica init on this node.';
  elsif v_off is not null then
    raise exception using errcode = 'RF013', message = format('pgraft: %s off: this control server must not vote', v_off),
      hint = 'Take it out of its configuration, and reload.';
  end if;
  perform node.pgraft_settings((select t.told -> 'timing' from node.told as t));
  return true;
end
$$;
