-- Which start of this store we are in: liveness counters are only comparable within one.
create or replace function raft.boot_id() returns text
language plpgsql stable set search_path = '' as $$
begin
  return extract(epoch from pg_postmaster_start_time())::text;
end
$$;
