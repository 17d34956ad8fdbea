/** `run/worker.pid`: one live worker per node, named by pid and start time, for a pid alone may be reused. */
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { hasCode, isMissing } from "../postgres/files.ts";
import { isAlive, processInfo } from "../postgres/process-tree.ts";
import { CommandFailed } from "./command.ts";

export interface Running {
  readonly pid: number;
  readonly startTicks: string;
}

/** The live process a pid file names; undefined when there is no file, or that process is gone. */
export async function runningFrom(path: string): Promise<Running | undefined> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (isMissing(error)) return "";
    throw error;
  });
  const [pid = "", startTicks = ""] = text.trim().split(" ");
  const running = { pid: Number(pid), startTicks };
  return /^[1-9]\d*$/.test(pid) && isAlive(running) ? running : undefined;
}

/**
 * Write our own pid, unless another live process has done so: then throw. Returns what removes it
 * again. The file appears whole (a link), and only one of two that start at once makes it.
 */
export async function claimPidFile(path: string, what: string): Promise<() => Promise<void>> {
  const own = `${path}.${process.pid}`;
  const { startTicks = "" } = processInfo(process.pid) ?? {};
  try {
    await writeFile(own, `${process.pid} ${startTicks}\n`, { mode: 0o644 });
    for (let attempt = 0; attempt < 3; attempt++) {
      if (await linked(own, path)) return () => rm(path, { force: true });
      const other = await runningFrom(path);
      if (other !== undefined) throw alreadyRunning(path, what, other.pid);
      await rm(path, { force: true }); // of a process that is gone
    }
  } finally {
    await rm(own, { force: true });
  }
  throw new CommandFailed(`${path}: expected to write it: others keep doing so`);
}

function alreadyRunning(path: string, what: string, pid: number): CommandFailed {
  return new CommandFailed(`${what}: pid ${pid}: expected none, it runs already (${path})`);
}

async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}
