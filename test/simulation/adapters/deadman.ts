/**
 * `src/postgres/deadman.ts`, and the shell script it starts, as a process of the simulation: it reads the lease from
 * its file and ends the data server when that is over, whatever became of the worker.
 */
import type { Clock } from "../../../src/clock/clock.ts";
import type { Server } from "../../../src/postgres/server.ts";
import { currentProc, type Proc } from "../engine.ts";
import { world } from "../world.ts";

interface Identity {
  readonly pid: number;
  readonly startTicks: string;
}

const POLL_MS = 50;

export const HAS_DEADMAN = true;

export function deadmanDirOf(nodeDir: string): string {
  return `${nodeDir}/run/deadman`;
}

export class LeaseFile {
  readonly #path: string;

  constructor(dir: string) {
    this.#path = `${dir}/lease`;
  }

  async write(remainingMs: number): Promise<void> {
    world().files.write(this.#path, String(world().engine.now + remainingMs));
  }

  async writeOff(): Promise<void> {
    world().files.write(this.#path, "off");
  }

  remainingMs(): number | undefined {
    const text = world().files.find(this.#path)?.text ?? "off";
    return text === "off" ? undefined : Number(text) - world().engine.now;
  }

  async close(): Promise<void> {}
}

interface Armed {
  readonly proc: Proc;
  readonly server: Identity;
}

function armedIn(dir: string): Armed | undefined {
  const found = world().files.find(`${dir}/deadman.pid`)?.object as Armed | undefined;
  return found === undefined || found.proc.dead || found.proc.pid === 0 ? undefined : found;
}

export function readDeadman(
  dir: string,
): { readonly deadman: Identity; readonly server: Identity } | undefined {
  const armed = armedIn(dir);
  if (armed === undefined) return undefined;
  const { pid } = armed.proc;
  return { deadman: { pid, startTicks: String(pid) }, server: armed.server };
}

export async function armDeadman(
  { server, dataDir }: { readonly server: Identity; readonly dataDir: string },
  { dir }: { readonly dir: string },
): Promise<Identity> {
  const { engine, files, procs } = world();
  const running = armedIn(dir);
  if (running !== undefined) {
    const { pid } = running.proc;
    if (!running.proc.paused && running.server.pid === server.pid) {
      return { pid, startTicks: String(pid) };
    }
    engine.kill(running.proc);
  }
  const proc = engine.spawn("deadman", currentProc()?.node ?? 0);
  procs.set(proc.pid, proc);
  await engine.sleep(engine.random("timers").between(2, 10), "deadman.start");
  files.write(`${dir}/deadman.pid`, String(proc.pid), { proc, server });
  watch(proc, dir, dataDir, server);
  return { pid: proc.pid, startTicks: String(proc.pid) };
}

/** Its whole life: look at the lease, and act once it is over. */
function watch(proc: Proc, dir: string, dataDir: string, guarded: Identity): void {
  const { engine, files, servers } = world();
  const lease = new LeaseFile(dir);
  const look = () => {
    const server = servers.get(dataDir);
    const gone = server === undefined || server.gone() || server.proc.pid !== guarded.pid;
    const remaining = lease.remainingMs();
    if (remaining === undefined || gone) {
      engine.kill(proc);
      return;
    }
    if (remaining > 0) {
      engine.after(POLL_MS, "deadman.look", look, proc);
      return;
    }
    engine.trace(proc.node, "the deadman ends the data server: the lease is over");
    server.end();
    const act = { event: "fenced", reason: "the deadman: the lease was over" };
    files.write(`${dir}/acts/deadman-${proc.pid}.json`, JSON.stringify(act));
    engine.kill(proc);
  };
  engine.after(POLL_MS, "deadman.look", look, proc);
}

export async function endDeadman(dir: string, _clock: Clock): Promise<boolean> {
  const armed = armedIn(dir);
  if (armed === undefined) return false;
  const { engine } = world();
  await engine.sleep(2, "deadman.end");
  engine.kill(armed.proc);
  return true;
}

export async function stopGuarded(
  server: Server,
  {
    dir,
    clock,
    limitMs,
  }: { readonly dir: string; readonly clock: Clock; readonly limitMs: number },
): Promise<void> {
  await server.stop("fast", limitMs);
  await endDeadman(dir, clock);
}
