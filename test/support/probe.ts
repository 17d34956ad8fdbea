/** A real write to every node again and again: who takes writes, when (D6). Settings are never asked. */
import { monotonicClock } from "../../src/clock/clock.ts";
import type { ClusterView } from "./cluster.ts";
import { onPrimary } from "./health.ts";
import { rows } from "./sql.ts";

export interface TakenWrite {
  readonly node: number;
  readonly sentAt: number;
  readonly acknowledgedAt: number;
}

export interface Probe {
  /** Nodes that acknowledged a write, in order of time, repetitions left out: with one writer at a time, short. */
  owners(): number[];
  readonly taken: readonly TakenWrite[];
  /** Attempts per node; a probe that tried nothing proves nothing. */
  readonly attempts: ReadonlyMap<number, number>;
  stop(): Promise<void>;
}

/** Start one loop per node; it opens a new connection for each write. */
export async function startProbe(cluster: ClusterView, everyMs = 100): Promise<Probe> {
  await onPrimary(cluster, "create table if not exists probed (node integer, n bigint)");
  const taken: TakenWrite[] = [];
  const attempts = new Map<number, number>();
  let stopping = false;

  async function loop(node: number, uri: string): Promise<void> {
    for (let n = 0; !stopping; n++) {
      attempts.set(node, n + 1);
      const sentAt = monotonicClock.now();
      const limits = { connectMs: 400, answerMs: 400 };
      await rows(uri, "insert into probed values ($1, $2)", [node, n], limits).then(
        () => taken.push({ node, sentAt, acknowledgedAt: monotonicClock.now() }),
        () => undefined, // refused or unknown: not taken
      );
      await monotonicClock.sleep(everyMs);
    }
  }

  const loops = cluster.nodes.map(({ id, data }) => loop(id, data.uri));
  return {
    taken,
    attempts,
    owners: () => {
      const order = taken.toSorted((a, b) => a.acknowledgedAt - b.acknowledgedAt);
      const nodes = order.map(({ node }) => node);
      return nodes.filter((node, index) => node !== nodes[index - 1]);
    },
    stop: async () => {
      stopping = true;
      await Promise.all(loops);
    },
  };
}
