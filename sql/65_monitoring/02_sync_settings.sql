-- The commit rule in force, taken apart, and whether it is the one that is wanted.
create or replace view pg_replica.sync_settings as
  select current_setting('synchronous_commit') as synchronous_commit,
         n.names as synchronous_standby_names,
         case when n.names = '' then null else upper(coalesce(n.parts[1], 'first')) end as method,
         n.needed,
         n.listed,
         c.connected,
         case when not pg_is_in_recovery() then c.connected >= n.needed end as satisfiable,
         w.wanted,
         w.wanted = n.names as matches
    from (select s.names, s.parts,
                 case when s.names = '' then 0 else coalesce(s.parts[2], '1')::integer end as needed,
                 (select count(*)::integer
                    from regexp_matches(coalesce(s.parts[3], s.names), '"(?:[^"]|"")*"|[^\s,"]+', 'g')) as listed
            from (select v.names, regexp_match(v.names, '^\s*(?:(any|first)\s+)?(\d+)\s*\((.*)\)\s*$', 'i') as parts
                    from (select trim(both from current_setting('synchronous_standby_names')) as names) as v) as s) as n
   cross join (select count(*)::integer as connected
                 from pg_stat_replication as r
                where r.sync_priority > 0 and r.state in ('streaming', 'stopping')) as c
   cross join (select pgreplica.wanted_standby_names() as wanted) as w;
comment on view pg_replica.sync_settings is
  'One row: what commits wait for, whether enough standbys are there, and whether it is what pg_replica wants.';
comment on column pg_replica.sync_settings.synchronous_commit is 'As this session has it: roles and databases may weaken their own commits.';
comment on column pg_replica.sync_settings.synchronous_standby_names is 'The commit rule in force here.';
comment on column pg_replica.sync_settings.method is 'ANY (as many as needed, whoever they are) or FIRST (by priority); null when commits wait for nobody.';
comment on column pg_replica.sync_settings.needed is 'Standbys that must confirm a commit.';
comment on column pg_replica.sync_settings.listed is 'Names in the list.';
comment on column pg_replica.sync_settings.connected is 'Connections under listed names; PostgreSQL counts each, duplicates too.';
comment on column pg_replica.sync_settings.satisfiable is 'Enough are connected for a commit to go through; null on a standby.';
comment on column pg_replica.sync_settings.wanted is 'The rule as this node''s worker has written it; null where it never ran.';
comment on column pg_replica.sync_settings.matches is 'What is in force is what is wanted.';
