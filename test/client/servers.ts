/** A primary and its standbys as plain servers, which a test kills, freezes, promotes and starts again. */

import { afterAll, afterEach, beforeAll } from "vitest";
import { createPool, type Pool, type PoolOptions } from "../../src/client/index.ts";
import { runProgram } from "../../src/postgres/run.ts";
import { caughtUp, type Lab, type LabServer, openLab } from "../replication/lab.ts";
import {
  allProcesses,
  type Process,
  signalTree,
  untilFrozen,
  untilGone,
  withDescendants,
} from "../support/processes.ts";
import { until } from "../support/until.ts";

export interface Servers {
  readonly lab: Lab;
  /** The first primary, then its standbys. */
  readonly all: readonly LabServer[];
  /** Options that name them all; quick to give up. */
  readonly options: PoolOptions;
  nameOf(server: LabServer): string;
  /** Name of the n-th one. */
  name(index: number): string;
  /** SIGKILL to a server and all its processes. */
  kill(index: number): Promise<void>;
  /** The same port and data again. */
  restart(index: number): Promise<void>;
  /** SIGSTOP; gives how to let it go on. */
  freeze(index: number): Promise<() => void>;
  /** Its stream ends: it receives nothing from here on. */
  cutOff(index: number): Promise<void>;
  /** Its promotion, until it takes writes. */
  promote(index: number): Promise<void>;
  /** Standbys have replayed all there is. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

const SETTINGS = { max_connections: 60, hot_standby: "on", fsync: "off" };

const processesOf = (server: LabServer) => withDescendants(allProcesses(), [server.process.pid]);

export async function openServers(
  standbys: number,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<Servers> {
  const lab = await openLab(undefined);
  const all: LabServer[] = [await lab.primary("node0", { ...SETTINGS, ...settings })];
  const at = (index: number): LabServer => {
    const server = all[index];
    if (server === undefined) throw new Error(`there is no server ${index}`);
    return server;
  };
  const [primary] = all;
  if (primary === undefined) throw new Error("no primary");
  const frozen = new Set<readonly Process[]>();
  const thaw = (processes: readonly Process[]) => {
    frozen.delete(processes);
    signalTree(() => processes, "SIGCONT");
  };
  for (let index = 1; index <= standbys; index += 1) {
    const dir = lab.path(`node${index}`);
    const conninfo = `host=${primary.host} port=${primary.port} user=${primary.user}`;
    const backup = ["-D", dir, "-d", conninfo, "-X", "stream", "-c", "fast", "--no-sync"];
    const copied = await runProgram(`${lab.binaries.dir}/pg_basebackup`, backup, {
      owner: lab.owner,
      limitMs: 30_000,
    });
    if (copied.exitCode !== 0) throw new Error(copied.stderrTail);
    all.push(await lab.standby(dir, primary, { ...SETTINGS, ...settings }));
  }
  const nameOf = ({ host, port }: LabServer) => `${host}:${port}`;
  return {
    lab,
    all,
    options: {
      hosts: all.map(nameOf),
      user: "postgres",
      database: "postgres",
      connectTimeoutMs: 1000,
      pingIntervalMs: 200,
    },
    nameOf,
    name: (index) => nameOf(at(index)),
    kill: async (index) => {
      const processes = signalTree(() => processesOf(at(index)), "SIGKILL");
      await untilGone(processes, 5000);
    },
    restart: async (index) => {
      const old = at(index);
      const { port, dir } = old;
      all[index] = await lab.start(dir, { ...SETTINGS, ...settings, port });
    },
    freeze: async (index) => {
      const processes = signalTree(() => processesOf(at(index)), "SIGSTOP");
      await untilFrozen(processes, 5000);
      frozen.add(processes);
      return () => thaw(processes);
    },
    cutOff: async (index) => {
      // Overrides nothing that was given on the command line: the slot it does not have ends the stream.
      await at(index).sql("alter system set primary_slot_name = 'there_is_none'");
      await at(index).sql("select pg_reload_conf()");
      await until("its receiver is gone", { limitMs: 10_000 }, async () => {
        const streaming = "select count(*) from pg_stat_wal_receiver where status = 'streaming'";
        return (await at(index).value(streaming)) === "0";
      });
    },
    promote: async (index) => {
      await at(index).sql("select pg_promote(false)");
      await until(
        "it is promoted",
        { limitMs: 15_000, everyMs: 5 },
        async () => (await at(index).value("select pg_is_in_recovery()")) === "f",
      );
    },
    caughtUp: async () => {
      for (const standby of all.slice(1)) await caughtUp(standby, primary);
    },
    close: async () => {
      for (const processes of frozen) thaw(processes);
      await lab.close();
    },
  };
}

/**
 * For a whole test file: one server that logs every statement, with a table `t`, and pools over it that end with the
 * test.
 */
export function useOneServer() {
  let servers: Servers;
  let pools: Pool[] = [];
  beforeAll(async () => {
    servers = await openServers(0, { log_statement: "all", log_min_error_statement: "debug1" });
    await servers.all[0]?.sql("create table t (_id int primary key, v text, n int)");
  });
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end({ timeoutMs: 500 })));
    pools = [];
  });
  afterAll(() => servers?.close());
  return {
    servers: () => servers,
    open: (more: Partial<PoolOptions> = {}): Pool => {
      const pool = createPool({ ...servers.options, ...more });
      pools.push(pool);
      return pool;
    },
    onPrimary: (text: string) => servers.all[0]?.value(text),
  };
}
