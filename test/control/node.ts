/** One node on this machine, for tests of its control store: a configuration in a temporary folder. */
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { monotonicClock } from "../../src/clock/clock.ts";
import { clusterIdOf } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { connect } from "../../src/db/connect.ts";
import { silentLog } from "../../src/log/logger.ts";
import { type Binaries, findBinaries } from "../../src/postgres/binaries.ts";
import { type Owner, serverOwner } from "../../src/postgres/owner.ts";
import { adoptServer } from "../../src/postgres/server.ts";
import {
  createControlStore,
  ownControlStore,
  startControlStore,
  stopControlStore,
} from "../../src/worker/control-store.ts";
import { freePorts } from "../support/ports.ts";

export interface TestNode {
  readonly config: Config;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  create(): ReturnType<typeof createControlStore>;
  start(): ReturnType<typeof startControlStore>;
  stop(): Promise<void>;
  /** Run a statement as superuser over the private socket; the rows of the last one. */
  sql(text: string): Promise<Record<string, unknown>[]>;
  /** Stop whatever runs, remove all files. */
  close(): Promise<void>;
}

/** In a folder of its own below `top`. */
export async function testNode(
  changes: Partial<Config> = {},
  top: string = tmpdir(),
): Promise<TestNode> {
  const owner = await serverOwner("postgres");
  const dir = await mkdtemp(join(top, "pgr-control-"));
  if (owner !== undefined) await chown(dir, owner.uid, owner.gid);
  const binaries = await findBinaries({ owner, copyEmbeddedTo: join(dir, "pg") });
  const config = { ...configOf(dir, await freePorts(2)), ...changes };
  const running = () => adoptServer({ binaries, dataDir: config.control.dir });
  const stop = async () => {
    const server = await running();
    if (server !== undefined) await stopControlStore({ server });
  };
  return {
    config,
    binaries,
    owner,
    create: () => createControlStore(config, binaries, owner),
    start: () =>
      startControlStore(config, binaries, owner, { clock: monotonicClock, log: silentLog }),
    stop,
    sql: async (text) => {
      const db = await connect(ownControlStore(config, "test"));
      try {
        const result: unknown = await db.query(text);
        const results = (Array.isArray(result) ? result : [result]) as pg.QueryResult[];
        return results.at(-1)?.rows ?? [];
      } finally {
        await db.end();
      }
    },
    close: async () => {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Over TCP, as an operator or a peer comes. */
export async function overTcp(config: Config, user: string, password?: string): Promise<pg.Client> {
  const { host, port } = config.control;
  return connect({
    host,
    port,
    user,
    applicationName: "test",
    connectLimitMs: 5000,
    ...(password === undefined ? {} : { password }),
  });
}

function configOf(dir: string, [controlPort = 0, dataPort = 0]: readonly number[]): Config {
  const peers = [
    {
      id: 1,
      name: "node1",
      host: "127.0.0.1",
      port: controlPort,
      dataHost: "127.0.0.1",
      dataPort,
    },
    { id: 2, name: "node2", host: "127.0.0.1", port: 1, dataHost: "127.0.0.1", dataPort: 2 },
    { id: 3, name: "witness", host: "127.0.0.1", port: 3 },
  ];
  return {
    cluster: "test",
    clusterId: clusterIdOf("test", peers),
    node: { id: 1, name: "node1" },
    dir,
    data: {
      dir: join(dir, "data"),
      host: "127.0.0.1",
      port: dataPort,
      listen: "127.0.0.1",
      settings: {},
      logical: false,
      hba: [],
    },
    control: {
      dir: join(dir, "control"),
      host: "127.0.0.1",
      port: controlPort,
      listen: "127.0.0.1",
      hba: ["host all all 127.0.0.1/32 scram-sha-256"],
    },
    peers,
    runAs: "postgres",
    peerSecret: "a secret of some length",
    superuserPassword: "operator's own",
    syncMode: "quorum",
    strictReads: false,
    raft: { maxLogEntries: 10_000, maxLogBytes: 64 * 1024 * 1024 },
    watchdog: "off",
    timing: { heartbeatMs: 100, electionMs: 1000, probeMs: 200, silentMs: 1000, leaseMs: 3000 },
    logLevel: "info",
  };
}
