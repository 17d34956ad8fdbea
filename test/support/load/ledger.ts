/**
 * A real write to every node again and again, each with the epoch it was made in: never two nodes that take writes at
 * once (D6). Settings are never asked.
 */
import type pg from "pg";
import { monotonicClock } from "../../../src/clock/clock.ts";
import type { ClusterView } from "../cluster.ts";
import { onPrimary } from "../health.ts";
import { hangUp, onUnconfirmed, open, sqlstate } from "../sql.ts";

export interface Entry {
  readonly node: number;
  readonly epoch: bigint;
  readonly sentAt: number;
  readonly acknowledgedAt: number;
}

export interface Ledger {
  readonly entries: readonly Entry[];
  /** Tries per node, taken or not. */
  readonly attempts: ReadonlyMap<number, number>;
  stop(): Promise<void>;
}

const LIMITS = { connectMs: 400, answerMs: 400 };
/** So many writes over one connection: old sessions are tried as well as new ones, and a new one costs most. */
const WRITES = 5;

/** One loop per node. */
export async function openLedger(cluster: ClusterView, everyMs = 100): Promise<Ledger> {
  await onPrimary(
    cluster,
    "create table if not exists ledger (node integer, n bigint, epoch bigint, at timestamptz default now())",
  );
  const entries: Entry[] = [];
  const attempts = new Map<number, number>();
  let stopping = false;

  async function loop(node: number, uri: string): Promise<void> {
    let client: pg.Client | undefined;
    for (let n = 0; !stopping; n++) {
      attempts.set(node, n + 1);
      client ??= await open(uri, LIMITS).catch(() => undefined); // refused, or nobody there
      const tried = client && (await tryWrite(client, node, n));
      if (tried?.entry !== undefined) entries.push(tried.entry);
      if (client !== undefined && (tried?.lost === true || n % WRITES === 0)) {
        hangUp(client);
        client = undefined;
      }
      await monotonicClock.sleep(everyMs);
    }
    if (client !== undefined) hangUp(client);
  }
  const loops = cluster.nodes.map(({ id, data }) => loop(id, data.uri));
  return {
    entries,
    attempts,
    stop: async () => {
      stopping = true;
      await Promise.all(loops);
    },
  };
}

/** No entry when it was refused, or nobody knows (H13); `lost`: the connection is of no use any more. */
async function tryWrite(
  client: pg.Client,
  node: number,
  n: number,
): Promise<{ readonly entry?: Entry; readonly lost: boolean }> {
  const sentAt = monotonicClock.now();
  let confirmed = true;
  const hearNoMore = onUnconfirmed(client, () => {
    confirmed = false;
  });
  try {
    const { rows } = await client.query<{ epoch: string }>(
      `insert into ledger (node, n, epoch)
       select $1, $2, max(epoch) from pgreplica.stamp returning epoch`,
      [node, n],
    );
    const acknowledgedAt = monotonicClock.now();
    const epoch = BigInt(rows[0]?.epoch ?? 0);
    return confirmed
      ? { entry: { node, epoch, sentAt, acknowledgedAt }, lost: false }
      : { lost: false };
  } catch (error) {
    return { lost: sqlstate(error) !== "25006" };
  } finally {
    hearNoMore();
  }
}

export interface Violation {
  readonly why: string;
  readonly first: Entry;
  readonly second: Entry;
}

/**
 * Two writers: one epoch on two nodes, or a write of an older epoch that was *sent* after one of a newer epoch had been
 * acknowledged. Pure.
 */
export function twoWriters(entries: readonly Entry[]): Violation[] {
  const found: Violation[] = [];
  const holders = new Map<bigint, Entry>();
  const byAck = entries.toSorted((a, b) => a.acknowledgedAt - b.acknowledgedAt);
  for (const entry of byAck) {
    const holder = holders.get(entry.epoch) ?? entry;
    holders.set(entry.epoch, holder);
    if (holder.node !== entry.node) {
      found.push({ why: "two nodes wrote in one epoch", first: holder, second: entry });
    }
  }
  const bySent = entries.toSorted((a, b) => a.sentAt - b.sentAt);
  let newest: Entry | undefined;
  let next = 0;
  for (const entry of bySent) {
    for (; (byAck[next]?.acknowledgedAt ?? Number.POSITIVE_INFINITY) < entry.sentAt; next++) {
      const acknowledged = byAck[next];
      if (acknowledged !== undefined && acknowledged.epoch >= (newest?.epoch ?? 0n)) {
        newest = acknowledged;
      }
    }
    if (newest !== undefined && entry.epoch < newest.epoch) {
      found.push({ why: "an older epoch wrote after a newer one", first: newest, second: entry });
    }
  }
  return found;
}
