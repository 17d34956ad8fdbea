import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { type ClusterView, clusterView } from "../../src/db/cluster.ts";
import { openPool } from "../../src/db/connect.ts";
import { quietHints } from "../../src/db/hints.ts";
import { leadWhile } from "../../src/leader/as-leader.ts";
import { silentLog } from "../../src/log/logger.ts";
import type { Leadership, Outcome, PeerReport } from "../../src/raft/raft.ts";
import { incarnation, openStore, type Store } from "../sql/pg_replica/stores.ts";
import { openScratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

/**
 * A real control store and its real `cluster.apply`; what is played is the other members: they pledge, report,
 * promote and stream as soon as the committed state asks for it.
 */
class Players {
  readonly entries: { kind: string; outcome: string }[] = [];
  readonly #rows = new Map<number, Record<string, unknown>>();
  readonly #store: { readonly db: pg.Pool };
  #beat = 1;
  #index = 0;
  handedOver = false;

  constructor(db: pg.Pool) {
    this.#store = { db };
    this.see(1, { role: "none", state: "stopped", system_identifier: "7300000000000000001" });
  }

  see(id: number, change: Record<string, unknown>): void {
    this.#rows.set(id, { ...this.#rows.get(id), ...change });
  }

  view(): Promise<ClusterView> {
    return clusterView(this.#store.db);
  }

  async publish(): Promise<void> {
    const { db } = this.#store;
    this.#beat += 1;
    for (const [node_id, row] of this.#rows) {
      if (node_id === 1) {
        await db.query("select node.observe($1::jsonb)", [JSON.stringify(row)]);
        continue;
      }
      const full = {
        ...EMPTY,
        ...row,
        node_id,
        beat: this.#beat,
        observed_at: "2026-01-01 12:00Z",
      };
      await db.query("select node.gossip($1::jsonb)", [JSON.stringify([full])]);
    }
  }

  async propose(kind: string, body: Readonly<Record<string, unknown>>): Promise<Outcome> {
    const { db } = this.#store;
    this.#index += 1;
    const client = randomUUID();
    const timed = { at: "2026-01-01 12:00:00Z", ...body };
    await db.query("select cluster.apply($1, 5, $2, $3, 1, $4)", [
      this.#index,
      kind,
      client,
      JSON.stringify(timed),
    ]);
    const { rows } = await db.query("select outcome from cluster.proposal where client = $1", [
      client,
    ]);
    const { outcome } = rows[0] as { outcome: string };
    this.entries.push({ kind, outcome });
    await this.#play(kind);
    await this.publish();
    return { index: BigInt(this.#index), outcome };
  }

  report(member: number, epoch: bigint): PeerReport {
    if (this.handedOver && member === 1) return { pledge: epoch, shutdownLsn: 0x4000028n };
    return { pledge: epoch, historyEpoch: epoch - 1n, lsn: 0x40000a0n };
  }

  async #play(kind: string): Promise<void> {
    const { epochs, rule } = await this.view();
    const newest = epochs[0];
    if (newest === undefined) return;
    const primary = newest.node_id ?? 0;
    if (kind === "found" || kind === "appoint") {
      const epoch = newest.epoch.toString();
      const lsns = { switch_lsn: "0/40000A0", stamp_lsn: "0/4000200" };
      this.see(primary, { role: "primary", state: "running", epoch, attached: [], ...lsns });
    }
    if (kind === "promoted") this.see(primary, { gate_open: true });
    if (kind === "serving")
      this.see(primary, { attached: [1, 2, 3].filter((id) => id !== primary) });
    if (kind === "rule_next") this.see(primary, { rule_proved: (rule.version + 1n).toString() });
    if (kind === "hand_over") {
      this.see(primary, { role: "standby", gate_open: false, attached: [] });
      this.handedOver = true;
    }
  }
}

const EMPTY = {
  role: "standby",
  state: "streaming",
  epoch: 1,
  writable: false,
  gate_open: false,
  attached: [],
  gone: false,
  hung: false,
  raft_role: "follower",
  lag_bytes: 0,
};

let scratch: Scratch;
let store: Store;

beforeAll(async () => {
  scratch = await openScratch("lead");
  store = await openStore(scratch, 1);
  for (const id of [1, 2, 3]) {
    await store.db.query(
      `insert into cluster.member (node_id, name, incarnation, data_host, data_port, control_host,
         control_port, state) values ($1, $2, $3, '127.0.0.1', $4, '127.0.0.1', $5, 'registered')`,
      [id, `node${id}`, incarnation(id), 7431 + id, 7481 + id],
    );
  }
}, 60_000);

afterAll(() => scratch.close());

test("every command of a founding, a forming and a switchover is one that the log accepts", async () => {
  const { host, port } = store.server;
  const pool = openPool(
    { host, port, user: "postgres", applicationName: "test", connectLimitMs: 5000 },
    4,
  );
  const players = new Players(pool);
  for (const id of [2, 3]) players.see(id, { role: "standby", state: "streaming" });
  const term = new AbortController();
  const leadership: Leadership = {
    term: 5n,
    signal: term.signal,
    propose: (kind, body) => players.propose(kind, body),
    reach: () => ({ reach: "ok", sinceMs: 1000 }),
    isKnown: () => true,
    leaseMs: () => 0,
    report: async (member, epoch) => players.report(member, epoch),
    transfer: async () => undefined,
    caughtUp: () => true,
    gossip: () => players.publish().then(() => true),
  };
  const hints = quietHints();
  const leading = leadWhile({
    leadership,
    store: pool,
    config: {
      node: { id: 1, name: "node1" },
      clusterId: "00000000-0000-5000-8000-000000000001",
      peerSecret: "secret",
      dir: "/nowhere",
      timing: { heartbeatMs: 100, electionMs: 1000, probeMs: 200, silentMs: 1000, leaseMs: 3000 },
    },
    clock: monotonicClock,
    log: silentLog,
    hints,
  });
  try {
    await until("formed", { limitMs: 20_000 }, async () => (await players.view()).formed);
    const formed = players.entries.map(({ kind }) => kind);
    expect(formed).toEqual([
      ...["found", "promoted", "serving", "attached", "attached"],
      ...["rule_next", "rule", "rule_next", "rule", "formed"],
    ]);

    await players.propose("request", {
      key: randomUUID(),
      kind: "switchover",
      args: { target: 2, allow_data_loss: false, not_before: null, delay_ms: 0 },
      by: "postgres",
    });
    hints.nudge();
    const state = async () => {
      const { rows } = await store.db.query("select * from cluster.request");
      return rows[0];
    };
    await until("done", { limitMs: 20_000 }, async () => (await state()).state === "done");
    expect(await state()).toMatchObject({ from_node: 1, to_node: 2, epoch: "2", sqlstate: null });
    expect((await state()).write_gap_ms).toBeGreaterThan(0);
    // What the store says is applied, they may be about to note.
    await expect
      .poll(() => players.entries.slice(formed.length + 1).map(({ kind }) => kind))
      .toEqual([
        ...["request_state", "hand_over", "open_epoch", "appoint", "promoted", "serving"],
        "request_state",
      ]);
    expect(players.entries.filter(({ outcome }) => outcome !== "ok")).toEqual([]);
  } finally {
    term.abort();
    await leading;
    await pool.end();
  }
}, 60_000);
