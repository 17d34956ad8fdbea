/** One node: its control store, its data server, and the real worker on top of them, each a process of its own. */

import type { Clock } from "../../../src/clock/clock.ts";
import type { Config } from "../../../src/config/schema.ts";
import type { Log, LogFields } from "../../../src/log/logger.ts";
import type { Tuning } from "../../../src/raft/run.ts";
import { runWorker } from "../../../src/worker/worker.ts";
import type { Acceptor } from "../../oracle/twin/acceptor.ts";
import type { Engine, Proc } from "../engine.ts";
import type { World } from "../world.ts";
import type { DataServer } from "./data-server.ts";
import type { Kept } from "./seen.ts";
import { Store } from "./store.ts";

const RESTART_MS = [150, 600] as const;
/** What a reload may bring: [election timeout, heartbeat], as fast and as slow as is allowed. */
const TIMERS = [
  [100, 20],
  [300, 50],
  [500, 50],
  [1000, 100],
  [1500, 300],
] as const;
/** How far a node moves that moves. */
const PORTS_ON = 10_000;

export class Host {
  readonly id: number;
  config: Config;
  /** What the control store never forgets, whether it runs or not. */
  acceptor: Acceptor;
  incarnation: string;
  kept: Kept;
  /** Members that the log of this node need not know: others have introduced them. */
  logins: ReadonlySet<number> = new Set();
  /** Whether anything was ever installed here. */
  deployed = true;
  store: Store | undefined;
  worker: Proc | undefined;
  #world: World;
  /** Whether a dead worker is started again, as a supervisor would. */
  supervised = false;
  clockRate = 1;
  /** Other timers for the Raft of its worker, as a reload brings them. */
  tune: (timing: Tuning["timing"]) => void = () => undefined;

  constructor(world: World, config: Config, own: Pick<Host, "acceptor" | "incarnation" | "kept">) {
    this.#world = world;
    this.id = config.node.id;
    this.config = config;
    this.acceptor = own.acceptor;
    this.incarnation = own.incarnation;
    this.kept = own.kept;
  }

  /** Nothing is left of the store that was. */
  beginAnew({
    acceptor,
    incarnation,
    kept,
  }: Pick<Host, "acceptor" | "incarnation" | "kept">): void {
    this.acceptor = acceptor;
    this.incarnation = incarnation;
    this.kept = kept;
    this.store = undefined;
  }

  server(): DataServer | undefined {
    const found = this.#world.servers.get(this.config.data?.dir ?? "");
    return found === undefined || found.gone() ? undefined : found;
  }

  startStore(): void {
    if (this.store !== undefined && !this.store.proc.dead) return;
    const { config } = this;
    this.store = new Store(this.#world, this.id, this, [
      `${config.dir}/run/control:${config.control.port}`,
      `${config.control.host}:${config.control.port}`,
    ]);
  }

  killStore(): void {
    if (this.store !== undefined) this.#world.engine.kill(this.store.proc);
  }

  startWorker(): void {
    if (!this.deployed || (this.worker !== undefined && !this.worker.dead)) return;
    this.supervised = true;
    const { engine, checks } = this.#world;
    const proc = engine.spawn("worker", this.id);
    proc.rate = this.clockRate;
    this.worker = proc;
    this.#world.procs.set(proc.pid, proc);
    engine.trace(this.id, "worker starts");
    const options = {
      owner: undefined,
      clock: clockOf(engine, proc),
      log: this.#log(proc),
      signal: new AbortController().signal,
    };
    const ended = (why: unknown) => {
      engine.trace(this.id, `worker ended: ${why}`);
      if (why instanceof Error && why.name === "BrokenInvariant") {
        checks.violated("broken", `node ${this.id}: ${why.message}`);
      }
      engine.kill(proc);
    };
    engine.as(proc, () => {
      runWorker(this.config, options).then(() => ended("by itself"), ended);
    });
    proc.onDeath.push(() => this.#restartLater());
  }

  #restartLater(): void {
    const { engine } = this.#world;
    const wait = engine.random("timers").between(...RESTART_MS);
    engine.after(wait, "worker.restart", () => {
      if (this.supervised) this.startWorker();
    });
  }

  /** One of the timers above, by a number from 0 to 1, on this node alone. */
  retime(amount: number): void {
    const [electionMs, heartbeatMs] = TIMERS[Math.floor(amount * TIMERS.length)] ?? TIMERS[0];
    const { worker } = this;
    if (worker === undefined || worker.dead) return;
    this.#world.engine.as(worker, () => this.tune({ electionMs, heartbeatMs }));
  }

  killWorker(): void {
    if (this.worker !== undefined) this.#world.engine.kill(this.worker);
  }

  /** Its file names other ports from now on; whoever starts next goes by them. */
  move(): void {
    const { data, control, ...rest } = this.config;
    const moved = { ...control, port: control.port + PORTS_ON };
    this.config = {
      ...rest,
      control: moved,
      ...(data === undefined ? {} : { data: { ...data, port: data.port + PORTS_ON } }),
    };
  }

  /** Every process of this node at once. */
  procs(): Proc[] {
    const server = this.server();
    return [this.worker, this.store?.proc, server?.proc, server?.work].filter(
      (proc): proc is Proc => proc !== undefined && !proc.dead,
    );
  }

  /** Shared memory segments and how many are attached. */
  segments(): [number, number][] {
    const server = this.#world.servers.get(this.config.data?.dir ?? "");
    if (server === undefined) return [];
    return [[server.segment, [server.proc, server.work].filter((proc) => !proc.dead).length]];
  }

  #log(proc: Proc): Log {
    const { engine } = this.#world;
    const say = (level: string) => (fields: LogFields, why: string) => {
      const { event, pos, act, epoch, error } = fields as Record<string, unknown>;
      const more = [pos, act, epoch === undefined ? undefined : `e${epoch}`, error]
        .filter((one) => one !== undefined)
        .join(" ");
      if (!proc.dead) engine.trace(this.id, `${level} ${event} ${more}: ${why}`);
    };
    const log: Log = {
      debug: () => undefined,
      info: say("info"),
      warn: say("warn"),
      error: say("error"),
      child: () => log,
    };
    return log;
  }
}

/** A monotonic clock that may run fast or slow; a paused process finds that time has gone on. */
function clockOf(engine: Engine, proc: Proc): Clock {
  return {
    now: () => engine.now * proc.rate,
    sinceBootMs: () => engine.now * proc.rate,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) {
          resolve();
          return;
        }
        const wake = () => {
          timer.cancel();
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const timer = engine.after(ms / proc.rate, "clock.sleep", wake, proc);
        signal?.addEventListener("abort", wake);
      }),
  };
}
