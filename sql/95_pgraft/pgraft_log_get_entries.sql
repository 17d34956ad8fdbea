-- Committed entries from one place to another, in order, at most max_entries.
create or replace function public.pgraft_log_get_entries(
  from_index bigint, to_index bigint default null, max_entries integer default 1000
) returns table (
  index bigint, term bigint, kind text, data text, request_id text, proposed_by integer,
  proposed_at timestamptz, applied boolean
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.pgraft_tell('log_get_entries', jsonb_build_object(
    'from_index', from_index, 'to_index', to_index, 'max_entries', max_entries))) as r (
  index bigint, term bigint, kind text, data text, request_id text, proposed_by integer,
  proposed_at timestamptz, applied boolean);
$$;
comment on function public.pgraft_log_get_entries(bigint, bigint, integer) is
  'Committed entries from one place to another, in order, at most max_entries. kind: user, kv, member, settings, noop. Where the log is compacted those of users alone are there. A batch is told as a JSON list. RF005: those of users from there are forgotten (kept_entries).';
