/** The same node twice: the real SQL and its twin. Every call is made to both, and must leave both alike. */
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { formatLsn } from "../../src/core/ids.ts";
import type { Entry } from "../../src/db/raft.ts";
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

  /** Hard state and log after every call; the replicated state whenever something was applied. */
  async compare(what: string): Promise<void> {
    const state = await limited(`state after ${what}`, this.store.snapshot());
    same(`state after ${what}`, state, snapshotOf(this.acceptor));
    if (this.acceptor.state.appliedIndex === this.#compared) return;
    const rows = await limited(`replicated state after ${what}`, this.store.clusterRows());
    same(`replicated state after ${what}`, rows, rowsOf(this.acceptor.cluster));
    this.#compared = this.acceptor.state.appliedIndex;
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
  const { state, log } = twin;
  const { reports, handedOver, inbox } = twin.unlogged;
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
    last_index: String(log.length),
    last_term: String(log.at(-1)?.term ?? 0n),
    log_hash: logHash(log),
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
    inbox: inbox.map(({ client }) => client),
  };
}

const byEpoch = ([a]: readonly [bigint, unknown], [b]: readonly [bigint, unknown]) =>
  a < b ? -1 : 1;

/** Of entries hashed before, by what they were hashed behind. */
const hashes = new WeakMap<Entry, { readonly before: string; readonly hash: string }>();

/** raft.entry_hash over the whole log; null for an empty one. */
function logHash(log: readonly Entry[]): string | null {
  let hash = "";
  for (const entry of log) {
    const known = hashes.get(entry);
    const before = hash;
    hash = known?.before === before ? known.hash : entryHash(before, entry);
    if (hash !== known?.hash) hashes.set(entry, { before, hash });
  }
  return log.length === 0 ? null : hash;
}

function entryHash(before: string, { index, term, kind, client, sequence, body }: Entry): string {
  const text = [index, term, kind, client, sequence, jsonbText(body)].join("|");
  return createHash("sha256").update(before, "hex").update(text).digest("hex");
}

/** As PostgreSQL prints jsonb: keys by length and then by bytes, a space behind each colon and comma. */
export function jsonbText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonbText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).filter((key) => value[key as keyof typeof value] !== undefined);
  keys.sort((a, b) => Buffer.byteLength(a) - Buffer.byteLength(b) || (a < b ? -1 : 1));
  const pairs = keys.map((key) => {
    return `${JSON.stringify(key)}: ${jsonbText(value[key as keyof typeof value])}`;
  });
  return `{${pairs.join(", ")}}`;
}

/** The twin's replicated state as rows of the tables. */
function rowsOf(cluster: Cluster): ClusterRows {
  const { members, rule, nextRule } = cluster;
  return {
    state: {
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
      .map((one, position) => ({ ...one, event_id: position + 1, epoch: Number(one.epoch) }))
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
