/** What the settings `pgraft.*` in the control server's files change of a node's configuration. */
import type { Config } from "../config/schema.ts";
import type { Queryable } from "../db/call.ts";
import { pgraftSettings } from "../db/node.ts";

/** As pgraft has it, where only the other of the two is set. */
const DEFAULT_ENTRIES = 10_000;

/** Throws, naming the setting, where one is unknown, out of range, or breaks a rule. */
export async function withPgraftSettings(config: Config, store: Queryable): Promise<Config> {
  const set = await pgraftSettings(store);
  const electionMs = set.election_timeout ?? config.timing.electionMs;
  const heartbeatMs = set.heartbeat_interval ?? config.timing.heartbeatMs;
  const timed = set.election_timeout !== undefined || set.heartbeat_interval !== undefined;
  if (timed && electionMs < 5 * heartbeatMs) {
    throw new Error(
      `pgraft.election_timeout: ${electionMs}: expected at least 5 times heartbeat_interval (${heartbeatMs})`,
    );
  }
  if (timed && config.timing.leaseMs < 2 * electionMs) {
    throw new Error(
      `pgraft.election_timeout: ${electionMs}: expected at most half of timing.lease_ms (${config.timing.leaseMs}) of node.yaml`,
    );
  }
  const { max_log_entries: kept, snapshot_count: between } = set;
  const maxLogEntries =
    kept === undefined && between === undefined
      ? config.raft.maxLogEntries
      : (kept ?? DEFAULT_ENTRIES) + (between ?? DEFAULT_ENTRIES);
  return {
    ...config,
    timing: { ...config.timing, electionMs, heartbeatMs },
    raft: { ...config.raft, maxLogEntries },
  };
}
