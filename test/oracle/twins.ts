/** The same node twice: the real SQL and its twin. Every call is made to both, and must leave both alike. */
import { isDeepStrictEqual } from "node:util";
import { formatLsn } from "../../src/core/ids.ts";
import type * as raft from "../../src/db/raft.ts";
import { limited } from "./limited.ts";
import {
  CLUSTER,
  type ClusterRows,
  type Dump,
  MEMBERS,
  NEWEST,
  type Snapshot,
  type Store,
} from "./store.ts";
import { Acceptor, type Durable } from "./twin/acceptor.ts";
import type { Cluster, Member } from "./twin/cluster.ts";
import { chainHash } from "./twin/entry-hash.ts";
import { forgettable } from "./twin/forget.ts";
import { SqlError } from "./twin/sql-error.ts";

/** The SQL and the twin disagree. */
export class Differs extends Error {
  override readonly name = "Differs";
}

/** One call to either of the two; every answer is a plain value. */
export type Call = (node: Acceptor | Store) => unknown;

export interface Image {
  readonly durable: Durable;
  readonly dump: Dump;
}

/** A snapshot as the SQL and as the twin tell it, in equally many parts. */
export interface TwoSnapshots {
  readonly head: raft.Snapshot;
  readonly sql: readonly string[];
  readonly twin: readonly string[];
}

export const INITIAL_MEMBERS: readonly Member[] = MEMBERS.map((member) => ({
  node_id: member.id,
  name: member.name,
  incarnation: null,
  data_host: member.dataPort === undefined ? null : member.host,
  data_port: member.dataPort ?? null,
  control_host: member.host,
  control_port: member.port,
  voter: true,
  promotable: member.dataPort !== undefined,
  priority: 100,
  wants_vote: true,
  sync: true,
  leaving: false,
  clone_from: false,
  state: "initial",
}));

export class Twins {
  readonly store: Store;
  acceptor: Acceptor;
  #compared = -1n;

  private constructor(store: Store, acceptor: Acceptor) {
    this.store = store;
    this.acceptor = acceptor;
  }

  static async fresh(store: Store): Promise<Twins> {
    await limited("the store's reset", store.reset());
    const identity = { nodeId: store.id, clusterId: CLUSTER };
    return new Twins(store, new Acceptor(identity, INITIAL_MEMBERS, "boot 1"));
  }

  /** Call both; the answer, or the SQLSTATE of the refusal, and all that is held must be equal. */
  async call(what: string, call: Call): Promise<unknown> {
    const expected = await answerOf(what, () => call(this.acceptor));
    const got = await answerOf(what, () => call(this.store));
    same(`answer to ${what}`, got, expected);
    await this.compare(what);
    if (typeof got === "object" && got !== null && "sqlstate" in got)
      throw new SqlError(String(got.sqlstate), what);
    return got;
  }

  /** The store crashed before it could commit the call: nothing of it may be left. */
  async crashInCall(what: string, call: Call): Promise<void> {
    const undone = this.store.undone(() => answerOf(what, () => call(this.store)));
    await limited(`${what}, undone`, undone);
    await this.crash();
  }

  async crash(image?: Image): Promise<void> {
    if (image !== undefined) {
      await limited("an old copy put back", this.store.restore(image.dump));
      this.#compared = -1n;
    }
    const bootId = await limited("the store's crash", this.store.crash());
    this.acceptor.crash(bootId, image?.durable);
    await this.compare("crash");
  }

  async restart(): Promise<void> {
    this.acceptor.restart(await limited("the store's restart", this.store.restart()));
    await this.compare("restart");
  }

  async image(): Promise<Image> {
    const dump = await limited("the store's copy", this.store.dump());
    return { durable: this.acceptor.dump(), dump };
  }

  /** Both take one; of the same entry, or they differ. */
  async snapshot(name: string, partBytes: number): Promise<TwoSnapshots> {
    const taken = await limited("a snapshot", this.store.takeSnapshot(partBytes));
    const { rows: twin, ...head } = this.acceptor.takeSnapshot(name, taken.parts);
    same("a snapshot", { ...taken, id: name }, head);
    const sql: string[] = [];
    for (let part = 1; part <= taken.parts; part += 1) {
      sql.push((await this.store.snapshotPart(taken.id, part)) ?? "");
    }
    return { head, sql, twin };
  }

  /** Hard state and log after every call; the replicated state whenever something was applied. */
  async compare(what: string): Promise<void> {
    const held = await limited(`state after ${what}`, this.store.snapshot());
    same(`state after ${what}`, held, snapshotOf(this.acceptor));
    const { cluster, state } = this.acceptor;
    if (state.appliedIndex === this.#compared) return;
    const rows = await limited(`replicated state after ${what}`, this.store.clusterRows());
    same(`replicated state after ${what}`, rows, rowsOf(cluster, state.appliedIndex));
    this.#compared = state.appliedIndex;
  }
}

/** An error of ours or of PostgreSQL is an answer too: its SQLSTATE. */
async function answerOf(what: string, call: () => unknown): Promise<unknown> {
  try {
    return (await limited(what, Promise.resolve(call()))) ?? null;
  } catch (error) {
    const { code, cause } = error as { code?: string; cause?: { code?: string } };
    const sqlstate = cause?.code ?? code;
    if (sqlstate === undefined || sqlstate.length !== 5) throw error;
    return { sqlstate };
  }
}

function same(what: string, got: unknown, expected: unknown): void {
  if (isDeepStrictEqual(plain(got), plain(expected))) return;
  throw new Differs(
    `${what}\n  SQL:  ${JSON.stringify(plain(got))}\n  twin: ${JSON.stringify(plain(expected))}`,
  );
}

/** Without bigints, undefined fields and other things JSON does not know. */
function plain(value: unknown): unknown {
  const text = JSON.stringify(value, (_, one) => (typeof one === "bigint" ? one.toString() : one));
  return JSON.parse(text);
}

export function snapshotOf(twin: Acceptor): Snapshot {
  const { state, log, base } = twin;
  const { reports, handedOver, inbox, arrived } = twin.unlogged;
  return {
    term: String(state.term),
    voted_for: state.votedFor ?? null,
    leader_id: state.leaderId ?? null,
    commit_index: String(state.commitIndex),
    applied_index: String(state.appliedIndex),
    alarm: state.alarm ?? null,
    pledge: String(state.pledge),
    followed: String(state.followed),
    boot_id: twin.counter.bootId,
    heard: String(twin.counter.heard),
    silent: twin.silent,
    transfer_term: twin.sample().transferTerm?.toString() ?? null,
    last_index: String(base.index + BigInt(log.length)),
    last_term: String(log.at(-1)?.term ?? base.term),
    log_hash: chainHash(base.hash, log),
    snapshot_index: String(base.index),
    snapshot_term: String(base.term),
    snapshot_hash: base.hash,
    kept: log.length,
    arrived: [...arrived.values()].reduce((sum, parts) => sum + parts.length, 0),
    reports: [...reports]
      .sort(byEpoch)
      .map(([epoch, { historyEpoch, lsn }]) => [
        `${epoch}`,
        `${historyEpoch}`,
        lsn === null ? null : formatLsn(lsn),
      ]),
    handed_over: [...handedOver]
      .sort(byEpoch)
      .map(([epoch, { shutdownLsn, problem }]) => [
        `${epoch}`,
        shutdownLsn === null ? null : formatLsn(shutdownLsn),
        problem,
      ]),
    inbox: inbox.map(({ proposal }) => proposal.client),
  };
}

const byEpoch = ([a]: readonly [bigint, unknown], [b]: readonly [bigint, unknown]) =>
  a < b ? -1 : 1;

/** The twin's replicated state as rows of the tables. */
function rowsOf(cluster: Cluster, applied: bigint): ClusterRows {
  const { members, rule, nextRule } = cluster;
  return {
    forgettable: forgettable(cluster, applied),
    settings: [...cluster.settings].sort(([a], [b]) => (a < b ? -1 : 1)),
    state: {
      entries_through: Number(cluster.entriesThrough),
      proposals_through: Number(cluster.proposalsThrough),
      system_identifier: cluster.systemIdentifier,
      formed: cluster.formed,
      paused_why: cluster.pausedWhy,
      mode: cluster.mode,
      rule_version: Number(cluster.ruleVersion),
      rule_k: rule.k,
      rule_cohort: rule.cohort,
      next_k: nextRule?.k ?? null,
      next_cohort: nextRule?.cohort ?? null,
    },
    members: [...members],
    epochs: cluster.epochs.map((one) => ({
      ...one,
      epoch: Number(one.epoch),
      from_epoch: number(one.from_epoch),
      request_id: number(one.request_id),
      handover_request: number(one.handover_request),
      from_lsn: lsnText(one.from_lsn),
      switch_lsn: lsnText(one.switch_lsn),
      stamp_lsn: lsnText(one.stamp_lsn),
    })),
    requests: cluster.requests.map((one) => ({
      ...one,
      request_id: Number(one.request_id),
      epoch: number(one.epoch),
    })),
    events: cluster.events
      .map((one, position) => ({
        ...one,
        event_id: cluster.eventsThrough + position + 1,
        epoch: Number(one.epoch),
      }))
      .slice(-NEWEST)
      .reverse(),
    proposals: [...cluster.proposals]
      .map(([key, { index, outcome }]) => [key, Number(index), outcome] as const)
      .slice(-NEWEST)
      .reverse(),
    entries: cluster.entries
      .map((one) => ({ ...one, index: Number(one.index) }))
      .slice(-NEWEST)
      .reverse(),
    kv: cluster.kv
      .map((one) => ({
        ...one,
        version: Number(one.version),
        created_version: Number(one.created_version),
        replaced_by: number(one.replaced_by),
      }))
      .sort((a, b) => (a.key === b.key ? a.version - b.version : a.key < b.key ? -1 : 1)),
    kvTotal: {
      ...cluster.kvTotal,
      compacted_version: Number(cluster.kvTotal.compacted_version),
    },
  };
}

const number = (value: bigint | null) => (value === null ? null : Number(value));
const lsnText = (value: bigint | null) => (value === null ? null : formatLsn(value));
