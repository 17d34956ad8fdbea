/** Free port ranges, asked from the operating system. */

import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

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

/**
 * A base P such that the demo's ports (P, P+1, … for data, P+50, … for control) are free now. It lies below the
 * range from which the kernel takes ports of outgoing connections, so that none of those gets in between.
 */
export async function freeDemoPorts(nodes: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const base = 10_000 + randomInt(0, 200) * 100;
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
