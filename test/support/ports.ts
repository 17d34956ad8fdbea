/** Free port ranges, asked from the operating system. */

import { randomInt } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Listen on a port of the loopback address; rejects when somebody else does. */
export function occupy(port: number, host = "127.0.0.1"): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}

export function release(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

async function allFree(ports: readonly number[]): Promise<boolean> {
  const held: Server[] = [];
  try {
    for (const port of ports) held.push(await occupy(port));
    return true;
  } catch {
    return false; // one is taken: try another range
  } finally {
    await Promise.all(held.map(release));
  }
}

const reserved = new Set<string>();
process.once("exit", () => {
  for (const path of reserved) rmSync(path, { force: true });
});

/**
 * Take a range for this process, until it ends: between a look at its ports and the start of a server there another
 * test file would find them free too. What a killed process left is free for the next who tries.
 */
function reserve(base: number): boolean {
  const path = join(tmpdir(), `pg-replica-ports-${base}`);
  try {
    writeFileSync(path, `${process.pid}`, { flag: "wx" });
    reserved.add(path);
    return true;
  } catch {
    if (!isHeld(path)) rmSync(path, { force: true });
    return false; // it is another's, or was: two that find it left over must not both take it
  }
}

function isHeld(path: string): boolean {
  try {
    const owner = readFileSync(path, "utf8");
    return owner === "" || process.kill(Number(owner), 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/**
 * A base P such that the demo's ports (P, P+1, … for data, P+50, … for control) are free now. It lies below the
 * range from which the kernel takes ports of outgoing connections, so that none of those gets in between.
 */
export async function freeDemoPorts(nodes: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const base = 10_000 + randomInt(0, 200) * 100;
    if (!reserve(base)) continue;
    const each = Array.from({ length: nodes }, (_, index) => [base + index, base + 50 + index]);
    if (await allFree(each.flat())) return base;
  }
  throw new Error("no free range of ports between 10000 and 30000");
}

/** `count` single free ports of the same kind. */
export async function freePorts(count: number): Promise<number[]> {
  const base = await freeDemoPorts(Math.min(count, 50));
  return Array.from({ length: count }, (_, index) => base + index);
}
