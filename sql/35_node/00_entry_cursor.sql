-- The place in the log after which entries of users are read: null is the oldest that is kept; an older one than that
-- is refused, since what came in between is forgotten (RF005).
create or replace function node.entry_cursor(p_after bigint) returns bigint
language plpgsql stable set search_path = '', pg_temp as $$
declare
  v_through bigint := (select s.entries_through from cluster.state as s);
begin
  if p_after < v_through then
    raise exception using errcode = 'RF005',
      message = format('entries up to %s are forgotten', v_through),
      detail = format('The next one after %s may be among them.', p_after),
      hint = 'What is missed is not in the log any more. entries(0) begins with the oldest that is kept; kept_entries and kept_entry_bytes in pg_replica.settings() say how many are.';
  end if;
  return coalesce(p_after, v_through);
end
$$;
