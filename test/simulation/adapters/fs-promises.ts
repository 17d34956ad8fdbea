/**
 * `node:fs/promises` over files in memory. What must survive a power cut takes time, and is a step a fault may
 * hit.
 */
import { currentProc } from "../engine.ts";
import { missing } from "../files.ts";
import { world } from "../world.ts";

/** Forced to disk: it takes its time, and the process may die before or after. */
export async function durable(): Promise<void> {
  const { engine } = world();
  const proc = currentProc();
  world().durableStep(proc);
  if (proc?.dead) await new Promise(() => undefined);
  await engine.sleep(engine.random("disk").between(0.1, 0.8), "file.sync");
}

export const constants = { R_OK: 4, W_OK: 2, F_OK: 0 };

export async function access(path: string, _mode?: number): Promise<void> {
  if (!world().files.has(path)) throw missing(path);
}

export async function chmod(_path: string, _mode: number): Promise<void> {}
export async function chown(_path: string, _uid: number, _gid: number): Promise<void> {}

export async function mkdir(path: string, _options?: object): Promise<void> {
  world().files.makeFolder(path);
}

export async function readdir(path: string): Promise<string[]> {
  return world().files.list(path);
}

export async function readFile(path: string, encoding?: string): Promise<string | Buffer> {
  const { text } = world().files.file(path);
  return encoding === undefined ? Buffer.from(text) : text;
}

export async function rename(from: string, to: string): Promise<void> {
  const proc = currentProc();
  world().durableStep(proc);
  if (proc?.dead) await new Promise(() => undefined);
  world().files.rename(from, to);
}

export async function rm(path: string, options?: { readonly force?: boolean }): Promise<void> {
  const { files } = world();
  if (!files.has(path)) {
    if (options?.force) return;
    throw missing(path);
  }
  files.remove(path);
}

export async function stat(path: string, _options?: object) {
  const { files } = world();
  if (!files.has(path)) throw missing(path);
  const { length } = files.find(path)?.text ?? "";
  return {
    size: length,
    ino: 1,
    ctimeNs: files.version(path),
    isDirectory: () => files.isFolder(path),
  };
}

export async function realpath(path: string): Promise<string> {
  return path;
}

export async function open(path: string, flags = "r", _mode?: number) {
  const { files } = world();
  if (flags === "r") await access(path);
  else if (!files.has(path)) files.write(path, "");
  return {
    fd: 3,
    writeFile: async (text: string) => files.write(path, text),
    appendFile: async (text: string) => files.write(path, files.file(path).text + text),
    readFile: async () => files.file(path).text,
    chmod: async () => undefined,
    chown: async () => undefined,
    stat: () => stat(path),
    sync: durable,
    datasync: durable,
    close: async () => undefined,
  };
}

function unsupported(name: string) {
  return () => {
    throw new Error(`${name} is not simulated`);
  };
}
export const cp = unsupported("cp");
export const glob = unsupported("glob");
export const lchown = unsupported("lchown");
export const mkdtemp = unsupported("mkdtemp");
export const readlink = unsupported("readlink");
export const statfs = unsupported("statfs");
export const symlink = unsupported("symlink");
export const truncate = unsupported("truncate");
export const unlink = unsupported("unlink");
export const utimes = unsupported("utimes");
export const writeFile = async (path: string, text: string) => world().files.write(path, text);
