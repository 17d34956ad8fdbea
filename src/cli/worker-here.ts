/** This node's worker in this process: what `pg-replica run` is, and what a program of somebody else's can be. */
import { uptime } from "node:os";
import { join } from "node:path";
import { type Clock, monotonicClock, sleepCountingClock } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import { createLog } from "../log/logger.ts";
import { makeDirectory } from "../postgres/files.ts";
import { serverOwner } from "../postgres/owner.ts";
import { withRoom } from "../worker/ballast.ts";
import type { LogService } from "../worker/log-service.ts";
import { runWorker } from "../worker/worker.ts";
import { claimPidFile } from "./pid-file.ts";

export interface RunningWorker extends LogService {
  /** Settles when the worker has ended, with the error that ended it; both servers go on. */
  readonly ended: Promise<void>;
  /** End it, and wait until it has ended. */
  stop(): Promise<void>;
}

/** Where its log goes: JSON lines. */
export interface LogTo {
  write(line: string): void;
}

/**
 * Run this node's worker in this process, in the place of `pg-replica run`; resolves once it can be asked. Heartbeats
 * and leases share the process's event loop with the program: what blocks it for long costs the node its roles.
 */
export async function startWorker(
  config: Config,
  { logTo }: { readonly logTo?: LogTo } = {},
): Promise<RunningWorker> {
  const end = new AbortController();
  const ready = Promise.withResolvers<LogService>();
  const ended = runHere(config, { signal: end.signal, onLog: ready.resolve, logTo });
  const early = ended.then(() => Promise.reject(new Error("the worker ended before it ran")));
  const service = await Promise.race([ready.promise, early]);
  const stop = () => {
    end.abort(new Error("the program has ended its worker"));
    return ended;
  };
  return { ...service, ended, stop };
}

/** Until the signal aborts; logs to standard output unless told otherwise. */
export async function runHere(
  config: Config,
  {
    logTo,
    ...on
  }: {
    readonly signal: AbortSignal;
    readonly onLog?: (service: LogService) => void;
    readonly logTo?: LogTo | undefined;
  },
): Promise<void> {
  const run = join(config.dir, "run");
  const owner = await serverOwner(config.runAs);
  const lines = { level: config.logLevel, ...(logTo === undefined ? {} : { destination: logTo }) };
  const log = createLog({ node: config.node.name }, lines);
  const release = await withRoom(config, log, async () => {
    await makeDirectory(run, { owner, mode: 0o755 });
    return claimPidFile(join(run, "worker.pid"), `worker of ${config.node.name}`);
  });
  try {
    const adjust = { debugging: log.debugging, setLevel: log.setLevel };
    await runWorker(config, { owner, clock: workerClock(), log, adjust, ...on });
  } finally {
    await release();
  }
}

/** Where the system tells for how long it has been up, sleep is counted too (H32). */
function workerClock(): Clock {
  if (process.platform !== "linux") return monotonicClock;
  return sleepCountingClock(monotonicClock, () => uptime() * 1000);
}
