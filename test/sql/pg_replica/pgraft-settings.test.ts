/** Settings pgraft.* in a control server's files: taken, or refused by name; and those of a session. */
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Config } from "../../../src/config/schema.ts";
import { settle } from "../../../src/worker/pgraft-settings.ts";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { errorOf } from "../../support/sql.ts";
import { elect, openStore, type Store, threeMembers } from "./stores.ts";

let scratch: Scratch;
let store: Store;
let path: string;
let before: string;

beforeAll(async () => {
  scratch = await openScratch("pgraft-settings");
  store = await openStore(scratch, 1);
  path = join(store.server.server.dataDir, "postgresql.conf");
  before = await readFile(path, "utf8");
  await threeMembers([store]);
}, 60_000);
beforeEach(() => writeFile(path, before));
afterAll(() => scratch.close());

const config = {
  timing: { heartbeatMs: 100, electionMs: 1000, probeMs: 200, silentMs: 1000, leaseMs: 3000 },
  raft: { maxLogEntries: 7, maxLogBytes: 8 },
  logLevel: "info",
} as Config;
const AS_CONFIGURED = {
  timing: { electionMs: 1000, heartbeatMs: 100 },
  keep: config.raft,
  logLevel: "info",
};
const set = (...lines: readonly string[]) => appendFile(path, `\n${lines.join("\n")}\n`);
const settled = () => settle(config, store.db);

test("without any nothing changes; those of ours count", async () => {
  expect(await settled()).toEqual(AS_CONFIGURED);
  await set("pgraft.election_timeout = 500", "pgraft.heartbeat_interval = '50ms'");
  await set("pgraft.max_log_entries = 300", "pgraft.snapshot_count = 200");
  await set("pgraft.request_timeout = 2s", "pgraft.forward_writes = on");
  await set("pgraft.log_level = Warn");
  expect(await settled()).toEqual({
    timing: { electionMs: 500, heartbeatMs: 50 },
    keep: { maxLogEntries: 500, maxLogBytes: 8 },
    logLevel: "warn",
  });
});

test("what says the same as node.yaml, or what holds anyway, is accepted", async () => {
  await set("pgraft.node_id = 1", "pgraft.cluster_id = 'test'", "pgraft.port = 5432");
  await set(
    "pgraft.ssl_enabled = off",
    "pgraft.bootstrap = off",
    "pgraft.max_value_bytes = 1048576",
  );
  expect(await settled()).toEqual(AS_CONFIGURED);
});

test.each([
  ["pgraft.elction_timeout = 500", "pgraft: unknown setting pgraft.elction_timeout"],
  [
    "pgraft.election_timeout = 50",
    "pgraft: pgraft.election_timeout is 50, must be between 100 and 30000",
  ],
  ["pgraft.request_timeout = soon", "pgraft: pgraft.request_timeout is soon, must be between"],
  ["pgraft.node_id = 4", "pgraft: pgraft.node_id is '4' here, and set elsewhere"],
  ["pgraft.cluster_id = 'other'", "pgraft: pgraft.cluster_id is 'other' here"],
  ["pgraft.data_dir = '/tmp'", "pgraft: pgraft.data_dir is '/tmp' here, and set elsewhere"],
  ["pgraft.ssl_enabled = on", "pgraft: pgraft.ssl_enabled is 'on' here, and set elsewhere"],
  ["pgraft.bootstrap = on", "pgraft: pgraft.bootstrap is 'on' here, and set elsewhere"],
  [
    "pgraft.log_level = loud",
    "pgraft.log_level is 'loud', must be one of debug, info, warn, error",
  ],
  [
    "pgraft.forward_writes = 2",
    "pgraft.forward_writes is '2', must be one of on, off, true, false",
  ],
  [
    "pgraft.heartbeat_interval = 300",
    "pgraft.election_timeout is 1000, must be at least 5 times heartbeat_interval (300)",
  ],
  [
    "pgraft.election_timeout = 2000",
    "pgraft.election_timeout is 2000, must be at most half of timing.lease_ms (3000)",
  ],
])("%s is refused, by name", async (line, message) => {
  await set(line);
  await expect(settled()).rejects.toThrow(message);
});

test("a session's own settings are refused by name too", async () => {
  await elect([store], 1);
  const put = () => errorOf(store.db.query("select pgraft_replicate_entry('x')"));
  await store.db.query("set pgraft.forward_writes = 'maybe'");
  expect(await put()).toMatchObject({ code: "22023", message: "pgraft.forward_writes is maybe" });
  await store.db.query("reset pgraft.forward_writes; set pgraft.request_timeout = 'soon'");
  expect(await put()).toMatchObject({ code: "22023", message: "pgraft.request_timeout is soon" });
  await store.db.query("reset pgraft.request_timeout");
});

test("a session's limit is the limit of a write", async () => {
  await elect([store], 1);
  await store.db.query("set pgraft.request_timeout = 700");
  const error = await errorOf(store.db.query("select pgraft_replicate_entry('x')"));
  // Nobody works by hand: it lies in the inbox.
  expect(error.code).toBe("RF003");
  const [, ms] = /unknown after (\d+) ms/.exec(error.message) ?? [];
  expect(Number(ms)).toBeGreaterThanOrEqual(700);
  expect(Number(ms)).toBeLessThan(2500);
});
