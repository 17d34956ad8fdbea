-- Go on alone: the majority is lost for good.
create or replace function pg_replica.recover(force boolean, reason text) returns pg_replica.requests
language sql volatile security definer set search_path = '', pg_temp as $$
  select r
    from jsonb_populate_record(null::pg_replica.requests, pgreplica.act('recover',
      jsonb_build_object('force', force, 'reason', reason))) as r;
$$;
comment on function pg_replica.recover(boolean, text) is
  'The last resort: a majority of the members is lost for good. This node goes on alone, in a new epoch; every other member is excluded, and refused until it is made anew. Commits that only they hold are lost; if one of them still runs, there are two clusters: make sure that none ever starts again. The reason is recorded. Errors: RF010 a leader is heard, or this node holds no data; RF011 force is off.';
