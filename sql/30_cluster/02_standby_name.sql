-- The name under which a member's WAL receiver attaches: bound to member and incarnation (H07).
create or replace function cluster.standby_name(p_node integer, p_incarnation uuid) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return (
    select 'pgr_' || p_node || '_' || left(replace(p_incarnation::text, '-', ''), 12));
end
$$;
