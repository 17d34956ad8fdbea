/** `node:child_process`: the one program that is started is a data server. */
import { EventEmitter } from "node:events";
import { currentProc } from "../engine.ts";
import { startPostmaster } from "../model/data-server.ts";
import { world } from "../world.ts";

export function spawn(program: string, args: readonly string[]) {
  const child = Object.assign(new EventEmitter(), { pid: 0, unref: () => undefined });
  const at = args.indexOf("-D");
  const dataDir = args[at + 1];
  const worker = currentProc();
  if (!program.endsWith("postgres") || dataDir === undefined || worker === undefined) {
    throw new Error(`${program} is not simulated`);
  }
  const { engine } = world();
  const server = startPostmaster(world(), dataDir, worker.node);
  child.pid = server.proc.pid;
  server.proc.onDeath.push(() => {
    engine.after(
      engine.random("timers").between(0.5, 4),
      "child.exit",
      () => child.emit("exit", 0),
      worker,
    );
  });
  engine.after(0.3, "child.spawned", () => child.emit("spawn"), worker);
  return child;
}

export function fork(): never {
  throw new Error("fork is not simulated");
}

export type ChildProcess = EventEmitter & { pid: number; unref(): void };
