-- What an operator and an application write against pgraft's published interface, in its order: set up, look, replicate,
-- grant, build something on top. For psql with ON_ERROR_STOP, on the leader's node.
\echo extension
CREATE EXTENSION pgraft;
\echo members
SELECT pgraft_init();
SELECT pgraft_is_leader();
SELECT pgraft_add_node(:id2, :'host2', :port2);
SELECT pgraft_add_node(:id3, :'host3', :port3);
SELECT * FROM pgraft_get_nodes();
SELECT node_id, address, port, is_leader FROM pgraft_get_nodes;
\echo status
SELECT pgraft_get_leader(), pgraft_get_term() > 0, pgraft_get_worker_state(), pgraft_get_version();
SELECT node_id, state, last_heartbeat FROM pgraft_get_cluster_status();
SELECT pgraft_set_debug(true);
SELECT pgraft_set_debug(false);
\echo log
SELECT pgraft_replicate_entry('{"what": "a row", "id": 123}');
SELECT commit_index = last_index AND last_applied = last_index AS settled, log_size > 0 FROM pgraft_log_get_stats();
SELECT pgraft_log_get_entry(last_index) FROM pgraft_log_get_stats();
SELECT node_id, is_replicating, last_heartbeat FROM pgraft_log_get_replication_status();
\echo keys
SELECT pgraft_kv_put('greeting', 'hello'), pgraft_kv_get('greeting'), pgraft_kv_exists('greeting');
SELECT pgraft_kv_delete('greeting'), pgraft_kv_get('greeting') IS NULL;
\echo roles
CREATE ROLE pgraft_admin;
GRANT EXECUTE ON FUNCTION pgraft_add_node TO pgraft_admin;
GRANT EXECUTE ON FUNCTION pgraft_remove_node TO pgraft_admin;
GRANT EXECUTE ON FUNCTION pgraft_replicate_entry TO pgraft_admin;
CREATE ROLE pgraft_monitor;
GRANT EXECUTE ON FUNCTION pgraft_is_leader, pgraft_get_leader, pgraft_get_cluster_status TO pgraft_monitor;
GRANT SELECT ON pgraft_get_nodes TO pgraft_monitor;
\echo application
CREATE TABLE settings (name text PRIMARY KEY, value jsonb NOT NULL, revision bigint NOT NULL);
CREATE TABLE settings_log (name text, value jsonb, revision bigint, at timestamptz DEFAULT now());
CREATE FUNCTION put_setting(p_name text, p_value jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_revision bigint;
BEGIN
  IF NOT pgraft_is_leader() THEN
    RAISE EXCEPTION 'settings are changed on the leader, which is node %', pgraft_get_leader();
  END IF;
  SELECT coalesce(max(revision), 0) + 1 INTO v_revision FROM settings WHERE name = p_name;
  IF NOT pgraft_replicate_entry(jsonb_build_object('name', p_name, 'value', p_value, 'revision', v_revision)::text) THEN
    RAISE EXCEPTION 'not replicated';
  END IF;
  INSERT INTO settings VALUES (p_name, p_value, v_revision)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, revision = excluded.revision;
  INSERT INTO settings_log (name, value, revision) VALUES (p_name, p_value, v_revision);
  RETURN jsonb_build_object('name', p_name, 'revision', v_revision, 'replicated', true);
END
$$;
SELECT put_setting('max_connections', '{"value": 100}');
SELECT put_setting('max_connections', '{"value": 200}');
SELECT name, value, revision FROM settings;
CREATE FUNCTION health() RETURNS TABLE (metric text, value text, status text) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT 'role'::text, CASE WHEN pgraft_is_leader() THEN 'LEADER' ELSE 'FOLLOWER' END, 'OK'::text;
  RETURN QUERY SELECT 'leader'::text, pgraft_get_leader()::text,
    CASE WHEN pgraft_get_leader() > 0 THEN 'OK' ELSE 'NONE' END;
  RETURN QUERY SELECT 'worker'::text, pgraft_get_worker_state(),
    CASE WHEN pgraft_get_worker_state() = 'running' THEN 'OK' ELSE 'ERROR' END;
  RETURN QUERY SELECT 'log'::text,
    format('%s of %s', (SELECT commit_index FROM pgraft_log_get_stats()), (SELECT last_index FROM pgraft_log_get_stats())),
    CASE WHEN (SELECT commit_index FROM pgraft_log_get_stats()) = (SELECT last_index FROM pgraft_log_get_stats())
         THEN 'OK' ELSE 'SYNCING' END;
END
$$;
SELECT metric, status FROM health();
\echo rollback
BEGIN;
SELECT put_setting('undone', '1');
ROLLBACK;
SELECT count(*) FROM settings WHERE name = 'undone';
SELECT count(*) FROM pgraft_log_get_entries(1) WHERE kind = 'user' AND data LIKE '%undone%';
\echo end
