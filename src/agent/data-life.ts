/**
 * Whether the data directory is the one that was here last, or an older copy of it that was put back (H56, F34).
 *
 * An older copy looks healthy, and has forgotten WAL whose commits this node had confirmed: its report would be too
 * low. So the directory holds a number that changes at each start and every minute, and a file beside it the last
 * two. Both are durable, the outer one first, so that a crash leaves them in agreement.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exists, writeDurable } from "../postgres/files.ts";
import type { Agent } from "./context.ts";

const INSIDE = "pgreplica.life";

export async function renewLife({ paths, owner }: Pick<Agent, "paths" | "owner">): Promise<void> {
  const [last] = await knownLives(paths.life);
  const next = randomUUID();
  const both = last === undefined ? [next] : [next, last];
  await writeDurable(paths.life, `${both.join("\n")}\n`, { owner });
  await writeDurable(join(paths.dataDir, INSIDE), `${next}\n`, { owner });
}

/** Nothing is known before the first start: then any directory will do. */
export async function isOlderCopy({ paths }: Pick<Agent, "paths">): Promise<boolean> {
  const known = await knownLives(paths.life);
  const [inside] = await knownLives(join(paths.dataDir, INSIDE));
  return known.length > 0 && (inside === undefined || !known.includes(inside));
}

async function knownLives(path: string): Promise<string[]> {
  if (!(await exists(path))) return [];
  return (await readFile(path, "utf8")).split("\n").filter((line) => line !== "");
}
