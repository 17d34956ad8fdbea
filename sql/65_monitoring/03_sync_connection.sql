-- Whose confirmations commits count now.
create or replace view pg_replica.sync_connection as
  select r.application_name, r.sync_state, r.state, r.node_id
    from pg_replica.replication_status as r
   where r.counted and not pg_is_in_recovery();
comment on view pg_replica.sync_connection is
  'On a primary: the connections whose confirmations commits count. No rows on a standby.';
comment on column pg_replica.sync_connection.application_name is 'The name it gave.';
comment on column pg_replica.sync_connection.sync_state is 'sync (FIRST) or quorum (ANY).';
comment on column pg_replica.sync_connection.state is 'startup, catchup, streaming, backup or stopping.';
comment on column pg_replica.sync_connection.node_id is 'The member; null: a stranger whose confirmations count, which must not be.';
