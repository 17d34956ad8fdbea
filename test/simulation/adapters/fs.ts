/** `node:fs`, the few calls that do not wait, over files in memory and the simulated kernel's lists. */
import { missing } from "../files.ts";
import { world } from "../world.ts";

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
