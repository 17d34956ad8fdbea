/** What a service manager does for one node: its worker runs, and is started again when it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { CLI, exitOf } from "../programs.ts";

export interface KeeperOptions {
  readonly config: string;
  readonly log: string;
  /** Program and arguments in front of ours. */
  readonly enter: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Between an exit and the next start, milliseconds. */
  readonly restartMs: number;
}

export interface Start {
  readonly env?: NodeJS.ProcessEnv;
  /** Program and arguments in front of ours; it becomes ours. */
  readonly under?: readonly string[];
}

export interface Keeper {
  /** Undefined while the worker does not run. */
  readonly pid: number | undefined;
  /** How often it was started. */
  readonly starts: number;
  /** With more in its environment, and below another program. */
  start(more?: Start): void;
  /** Start no other one from now on. The worker itself is left alone. */
  hold(): void;
  /** SIGTERM, and wait for its exit. */
  end(): Promise<void>;
}

export function keepWorker(options: KeeperOptions): Keeper {
  let wanted = false;
  let child: ChildProcess | undefined;
  let starts = 0;
  let running: Promise<void> = Promise.resolve();
  const alive = () => child !== undefined && child.exitCode === null && child.signalCode === null;

  async function keep(more: Start): Promise<void> {
    while (wanted) {
      starts += 1;
      child = await spawnWorker(options, more);
      await exitOf(child);
      if (wanted) await monotonicClock.sleep(options.restartMs);
    }
  }

  return {
    get pid() {
      return alive() ? child?.pid : undefined;
    },
    get starts() {
      return starts;
    },
    start(more = {}) {
      if (wanted) return;
      const before = running;
      wanted = true;
      running = before.then(() => keep(more));
    },
    hold() {
      wanted = false;
    },
    async end() {
      wanted = false;
      if (alive()) child?.kill("SIGTERM");
      await running;
    },
  };
}

async function spawnWorker(
  { enter, config, log, env }: KeeperOptions,
  { env: more = {}, under = [] }: Start,
): Promise<ChildProcess> {
  const ours = [process.execPath, CLI, "run", "--config", config];
  const [program = "", ...args] = [...enter, ...under, ...ours];
  const file = await open(log, "a");
  try {
    return spawn(program, args, {
      // A session of its own, as from a service manager: it shares the processor, and not with the clients' session.
      detached: true,
      stdio: ["ignore", file.fd, file.fd],
      env: { ...process.env, ...env, ...more },
    });
  } finally {
    await file.close();
  }
}
