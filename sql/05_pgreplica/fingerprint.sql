-- One hash over all that sql/ made: differs as soon as something is lost (pg_upgrade loses the functions of
-- schema pg_replica in silence) or altered by hand.
create or replace function pgreplica.fingerprint() returns text
language sql stable set search_path = '' as $$
  select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
           coalesce(pg_catalog.string_agg(
             pg_catalog.concat_ws(' ', m.kind, m.name, m.definition), e'\n'
             order by m.kind collate "C", m.name collate "C"), ''),
           'UTF8')), 'hex')
    from pgreplica.made_by_sql m
$$;
comment on function pgreplica.fingerprint() is 'a hash over the functions and views of pg_replica';
