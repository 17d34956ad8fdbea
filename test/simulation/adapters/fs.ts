/** `node:fs`, the few calls that do not wait, over files in memory and the simulated kernel's lists. */
import { currentProc } from "../engine.ts";
import { missing } from "../files.ts";
import { world } from "../world.ts";
import { durable } from "./fs-promises.ts";

export function readFileSync(path: string, _encoding?: string): string {
  if (path === "/proc/sysvipc/shm") return segments();
  return world().files.file(path).text;
}

export function existsSync(path: string): boolean {
  return world().files.has(path);
}

export function readdirSync(path: string): string[] {
  return world().files.list(path);
}

export function statSync(path: string) {
  if (!world().files.has(path)) throw missing(path);
  return { size: world().files.find(path)?.text.length ?? 0 };
}

export function realpathSync(path: string): string {
  return path;
}

export function readlinkSync(path: string): string {
  throw missing(path);
}

export function writeFileSync(path: string, text: string): void {
  world().files.write(path, text);
}

const opened = new Map<number, string>();
let fds = 100;

export function openSync(path: string, _flags?: string, _mode?: number): number {
  const { files } = world();
  if (!files.has(path)) files.write(path, "");
  fds += 1;
  opened.set(fds, path);
  return fds;
}

export function writeSync(file: number, bytes: Buffer, at: number): number {
  const path = opened.get(file) as string;
  const { files } = world();
  files.write(path, files.file(path).text + bytes.subarray(at).toString());
  return bytes.length - at;
}

export function closeSync(file: number): void {
  opened.delete(file);
}

export function fchmodSync(): void {}
export function fchownSync(): void {}

export function fsync(_file: number, done: (error: Error | null) => void): void {
  void durable().then(() => done(null));
}

/** A process that ends here leaves the old name; nothing of it comes after. */
export function renameSync(from: string, to: string): void {
  const proc = currentProc();
  if (proc?.dead) return;
  world().files.rename(from, to);
}

/** Shared memory segments and how many processes are attached to each. */
function segments(): string {
  const lines = ["key shmid perms size cpid lpid nattch"];
  for (const host of world().hosts.values()) {
    for (const [id, count] of host.segments()) {
      lines.push(`${1000 + host.id} ${id} 600 56 1 1 ${count}`);
    }
  }
  return lines.join("\n");
}
