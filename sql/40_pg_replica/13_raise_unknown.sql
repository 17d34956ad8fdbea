-- A write of the log as a service that a leader took, or may have taken, can commit yet: its outcome is unknown
-- (RF003, H13).  Other commands have rows to look at.
create or replace function node.raise_unknown(p_kind text, p_leader integer, p_spent integer) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if p_kind in ('entry', 'kv_set', 'kv_compact', 'kv_reset') then
    raise exception using errcode = 'RF003',
      message = format('outcome unknown after %s ms; the entry may still commit', p_spent),
      detail = format('Current leader: %s.', coalesce(p_leader::text, 'none')),
      hint = 'replicate() with the same request_id, or a look at the key, tells; see pg_replica.status().';
  end if;
end
$$;
