-- Put something into the log.
create or replace function pg_replica.replicate(data text, request_id text default null) returns bigint
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  return pgreplica.write('replicate', jsonb_build_object('data', jsonb_build_array(data), 'request_id', request_id))::bigint;
end
$$;
comment on function pg_replica.replicate(text, text) is
  'Commits data and returns its place in the log once a majority has it on disk and this node has applied it. It stays when the caller''s transaction rolls back. The same request_id (1 to 255 bytes) commits once, however often it is asked for: the safe way to ask again after RF003. At most 1048576 bytes. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';

create or replace function pg_replica.replicate(data text[], request_id text default null) returns bigint
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  return pgreplica.write('replicate', jsonb_build_object('data', data, 'request_id', request_id))::bigint;
end
$$;
comment on function pg_replica.replicate(text[], text) is
  'Commits the items of data, 10000 at most, as one entry, all or none, and returns its place in the log; the rest is as with a single text. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';

create or replace function pg_replica.replicate(data jsonb[], request_id text default null) returns bigint
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  return pgreplica.write('replicate', jsonb_build_object('data', data::text[], 'request_id', request_id))::bigint;
end
$$;
comment on function pg_replica.replicate(jsonb[], text) is
  'Commits the items of data, 10000 at most, as one entry, all or none, and returns its place in the log; the rest is as with a single text. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';
