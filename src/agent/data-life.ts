/**
 * Whether the data directory is the one that was here last, or an older copy of it that was put back (H56, F34).
 *
 * An older copy looks healthy, and has forgotten WAL whose commits this node had confirmed: its report would be too
 * low. So the directory holds a number that changes at each start and every minute, and the control store, which lies
 * on another volume, knows it. Both are durable: the store is told of the next number before the directory holds it,
 * and of the end of the last one after, so that a crash leaves them in agreement.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exists, writeDurable } from "../postgres/files.ts";
import type { Agent } from "./context.ts";

const INSIDE = "pgreplica.life";

type Place = Pick<Agent, "paths" | "owner" | "store" | "state">;

export async function renewLife(agent: Place): Promise<void> {
  const { paths, owner } = agent;
  const next = randomUUID();
  await remember(agent, [next, await numberInside(agent)]);
  await writeDurable(join(paths.dataDir, INSIDE), `${next}\n`, { owner });
  await remember(agent, [next]);
}

/** Nothing is known before the first start, or in a store that was made anew: then any directory will do. */
export async function isOlderCopy(agent: Place): Promise<boolean> {
  const { state, store } = agent;
  state.life ??= await store.dataLife();
  return state.life.length > 0 && !state.life.includes(await numberInside(agent));
}

async function remember({ store, state }: Place, numbers: readonly string[]): Promise<void> {
  await store.setDataLife(numbers);
  state.life = numbers;
}

/** Empty where there is none. */
async function numberInside({ paths }: Place): Promise<string> {
  const path = join(paths.dataDir, INSIDE);
  return (await exists(path)) ? (await readFile(path, "utf8")).trim() : "";
}
