/** The deadman as the agent keeps it: armed while this node is primary, renewed with the lease, ended last. */
import { access, constants, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  armDeadman,
  endDeadman,
  HAS_DEADMAN,
  LeaseFile,
  readDeadman,
} from "../postgres/deadman.ts";
import { exists, isMissing } from "../postgres/files.ts";
import type { Agent } from "./context.ts";

/** A file that is behind the lease by less than this is left alone: an earlier end is a safe one. */
const BEHIND_MS = 100;
const CHECK_MS = 1000;

export class Guard {
  readonly #agentOf: () => Agent;
  #file: LeaseFile | undefined;
  #written = Number.NEGATIVE_INFINITY;
  #arming: Promise<void> | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(agentOf: () => Agent) {
    this.#agentOf = agentOf;
  }

  /** Start it, or take over the one that runs; its lease lasts until `until` at most, and longer once renewed. */
  arm(until: number): Promise<void> {
    this.#arming ??= this.#arm(until).finally(() => {
      this.#arming = undefined;
    });
    return this.#arming;
  }

  /** The lease was renewed. */
  async renew(until: number): Promise<void> {
    if (until - this.#written < BEHIND_MS) return;
    await this.#write(until);
  }

  /** On the lease's beat: one that is gone, or stands still, is replaced. */
  check(until: number): void {
    const { clock, log, paths } = this.#agentOf();
    if (!HAS_DEADMAN || clock.now() - this.#checkedAt < CHECK_MS) return;
    this.#checkedAt = clock.now();
    const running = readDeadman(paths.deadmanDir);
    if (running !== undefined && !running.frozen) return;
    log.warn({ event: "deadman.gone" }, "the deadman ended, or stands still: another is armed");
    this.arm(until).catch((error: unknown) => {
      log.error({ event: "deadman.failed" }, String(error));
    });
  }

  /** How much longer the lease on record lasts; undefined when there is none. */
  remainingMs(): number | undefined {
    return this.#lease().remainingMs();
  }

  /** The worker ends; what it armed goes on. */
  async leave(): Promise<void> {
    await this.#lease().close();
  }

  /** The data server is proved down, or a standby. */
  async end(): Promise<void> {
    const { clock, log, paths } = this.#agentOf();
    this.#written = Number.NEGATIVE_INFINITY;
    if (!(await exists(paths.deadmanDir))) return;
    await this.#lease().writeOff();
    await this.#lease().close();
    if (await endDeadman(paths.deadmanDir, clock)) log.info({ event: "deadman.ended" }, "disarmed");
  }

  async #arm(until: number): Promise<void> {
    const { clock, log, paths, state, config } = this.#agentOf();
    const { server } = state;
    if (!HAS_DEADMAN || server === undefined) return;
    await this.#write(until);
    const before = readDeadman(paths.deadmanDir)?.deadman.pid;
    const place = { dir: paths.deadmanDir, logFile: join(config.dir, "log", "deadman.log"), clock };
    const guarded = { server, dataDir: paths.dataDir };
    const watchdog = await watchdogDevice(config.watchdog);
    const { pid } = await armDeadman({ ...guarded, watchdog }, place).catch((error: unknown) => {
      // Somebody else has opened it. A deadman without the device is more than none, and than a shut gate.
      if (config.watchdog !== "auto" || watchdog === undefined) throw error;
      log.warn(
        { event: "deadman.failed" },
        `${watchdog} cannot be opened: on without it: ${error}`,
      );
      return armDeadman(guarded, place);
    });
    const taken = before === pid;
    log.info({ event: "deadman.armed", pid, taken }, taken ? "was running before" : "started");
  }

  async #write(until: number): Promise<void> {
    const { clock } = this.#agentOf();
    this.#written = until;
    await this.#lease().write(until - clock.now());
  }

  #lease(): LeaseFile {
    this.#file ??= new LeaseFile(this.#agentOf().paths.deadmanDir);
    return this.#file;
  }
}

const DEVICE = "/dev/watchdog";

/** The device to pet; with `auto` only one that is there and ours to open. Looked at, not opened: that would arm it. */
async function watchdogDevice(setting: string): Promise<string | undefined> {
  if (setting === "off") return undefined;
  if (setting !== "auto") return setting;
  return await access(DEVICE, constants.W_OK).then(
    () => DEVICE,
    () => undefined,
  );
}

interface Act {
  readonly event: string;
  readonly reason: string;
  readonly detail?: unknown;
}

/** Tell what was done without being asked: to the control store, or to a file while it does not answer. */
export async function noteAct(agent: Agent, act: Act): Promise<void> {
  try {
    await agent.store.noteAct(act);
  } catch (error) {
    agent.log.debug({ event: "control.gone" }, `an act is noted in a file: ${error}`);
    const dir = actsIn(agent);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const at = new Date().toISOString();
    const detail = { ...(act.detail as object | undefined), at };
    const name = `worker-${process.pid}-${Math.round(agent.clock.now())}.json`;
    await writeFile(join(dir, name), JSON.stringify({ ...act, detail }), { mode: 0o600 });
  }
}

/** What a file holds of them, the deadman's included, becomes events once the control store answers. */
export async function deliverActs(agent: Agent): Promise<void> {
  const dir = actsIn(agent);
  for (const name of await namesIn(dir)) {
    const path = join(dir, name);
    const act = JSON.parse(await readFile(path, "utf8")) as Act;
    await agent.store.noteAct(act);
    agent.log.warn({ event: "agent.fenced", file: name }, act.reason);
    await rm(path);
  }
}

function actsIn({ paths }: Agent): string {
  return join(paths.deadmanDir, "acts");
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => name.endsWith(".json")).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
