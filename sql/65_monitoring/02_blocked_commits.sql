-- Commits that wait for standbys.  They have happened already and wait to be confirmed: cancelling one shows it (H06).
create or replace view pg_replica.blocked_commits as
  select a.pid, a.wait_event_type, a.wait_event, a.state, a.query,
         clock_timestamp() - a.query_start as waiting_for,
         a.usename, a.application_name, a.client_addr
    from pg_stat_activity as a
   where a.wait_event = 'SyncRep' and not pg_is_in_recovery();
comment on view pg_replica.blocked_commits is
  'On a primary: sessions whose commit waits for standbys. Cancelling one confirms nothing: its rows become visible, and may be lost. No rows on a standby.';
comment on column pg_replica.blocked_commits.pid is 'The session''s process.';
comment on column pg_replica.blocked_commits.wait_event_type is 'IPC.';
comment on column pg_replica.blocked_commits.wait_event is 'SyncRep.';
comment on column pg_replica.blocked_commits.state is 'active, as a rule.';
comment on column pg_replica.blocked_commits.query is 'The statement that commits.';
comment on column pg_replica.blocked_commits.waiting_for is 'Since that statement began: an upper bound of the wait.';
comment on column pg_replica.blocked_commits.usename is 'Who is logged in.';
comment on column pg_replica.blocked_commits.application_name is 'Of the client.';
comment on column pg_replica.blocked_commits.client_addr is 'Of the client; null over a local socket.';
