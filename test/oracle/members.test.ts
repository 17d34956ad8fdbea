/** The voters change by one member at a time, each change committed before the next is proposed (R9, H53, H56). */
import { expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import type { Entry } from "../../src/db/raft.ts";
import { silentLog } from "../../src/log/logger.ts";
import type { Outcome } from "../../src/raft/raft.ts";
import { registerMembers } from "../../src/worker/register.ts";
import { Random } from "../support/random.ts";
import { until } from "../support/until.ts";
import { incarnationOf, senderOf } from "./store.ts";
import { useStore } from "./use-store.ts";

const store = useStore();

/** A log of one store, led by its own node; says what was proposed, and how many at once. */
class Log {
  readonly kinds: string[] = [];
  mostAtOnce = 0;
  #atOnce = 0;
  #length = 0n;
  readonly #random = new Random("members");

  async propose(kind: string, body: Readonly<Record<string, unknown>>): Promise<Outcome> {
    this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    this.kinds.push(`${kind} ${body.node_id}`);
    await monotonicClock.sleep(20);
    const index = this.#length + 1n;
    const client = this.#random.uuid();
    const whole = { at: "2026-01-01T00:00:00Z", ...body };
    const entry: Entry = { index, term: 1n, kind, client, sequence: 1n, body: whole };
    const ask = { term: 1n, prevIndex: this.#length, prevTerm: this.#length === 0n ? 0n : 1n };
    await store().appendEntries(senderOf(1), { ...ask, entries: [entry], commit: index });
    this.#length = index;
    this.#atOnce -= 1;
    const { rows } = await store().client.query(
      "select outcome from cluster.proposal where client = $1",
      [client],
    );
    return { index, outcome: rows[0].outcome };
  }
}

test("two stores were made anew at once", { timeout: 60_000 }, async () => {
  const log = new Log();
  const end = new AbortController();
  const heard = new Map([1, 2, 3, 4].map((id) => [id, incarnationOf(id)]));
  const behind = new Set<number>();
  const leadership = {
    signal: end.signal,
    propose: log.propose.bind(log),
    caughtUp: (id: number) => !behind.has(id),
    reach: () => ({ reach: "ok", sinceMs: 60_000 }) as const,
  };
  /** Its worker says what it sees. */
  const worksAgain = (id: number) =>
    store().client.query(
      `insert into node.observed (node_id, beat, epoch, observed_at, role, state)
       values ($1, 1, 0, now(), 'none', 'stopped')
       on conflict (node_id) do update set beat = observed.beat + 1`,
      [id],
    );
  const raft = { incarnations: () => heard };
  const parts = { raft, store: store().client, clock: monotonicClock, log: silentLog };
  const running = registerMembers(leadership, parts);
  const proposed = (count: number) =>
    until(`${count} proposals`, { limitMs: 10_000 }, () => log.kinds.length >= count);
  await proposed(4);
  behind.add(2);
  heard.set(2, incarnationOf(7)).set(3, incarnationOf(8));
  await proposed(6);
  // Their stores answer; who runs them is not known yet.
  await monotonicClock.sleep(600);
  expect(log.kinds).toHaveLength(6);
  await worksAgain(2);
  await worksAgain(3);
  await proposed(7);
  behind.clear();
  await proposed(8);
  end.abort();
  await running;
  expect(log.kinds).toEqual([
    ...[1, 2, 3, 4].map((id) => `register ${id}`),
    "readmit 2",
    "readmit 3",
    "voter 3",
    "voter 2",
  ]);
  expect(log.mostAtOnce).toBe(1);
});
