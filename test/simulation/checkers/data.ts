/** D1 to D17 as far as they are modelled: looked at on each promotion, acknowledgement, report, and at the end. */
import { standbyName } from "../../../src/core/ids.ts";
import type { Cluster } from "../../oracle/twin/cluster.ts";
import type { Engine } from "../engine.ts";
import type { DataServer } from "../model/data-server.ts";
import type { Host } from "../model/host.ts";
import type { Sender } from "../model/senders.ts";
import type { Store } from "../model/store.ts";
import { formatLsn, type Rec, type StampRow, type SyncRule } from "../model/wal.ts";

type Report = (invariant: string, message: string) => void;

interface Acknowledged {
  readonly record: Rec;
  readonly epoch: number;
  readonly node: number;
  readonly at: number;
}

export class DataChecks {
  readonly #engine: Engine;
  readonly #hosts: ReadonlyMap<number, Host>;
  readonly #report: Report;
  readonly attempts = new Set<string>();
  readonly acks: Acknowledged[] = [];
  readonly #readIds = new Map<number, string>();
  readonly #promotions = new Map<number, { readonly node: number; readonly timeline: number }>();
  readonly #timelines = new Map<number, number>();
  readonly #reports = new Map<
    number,
    { readonly epoch: number; readonly lsn: number; readonly dir: string }
  >();
  #newestAck: { readonly epoch: number; readonly server: DataServer } | undefined;
  promotionCount = 0;
  /** The longest time between two acknowledgements, since it was last begun. */
  gap = { longest: 0, last: 0 };

  constructor(engine: Engine, hosts: ReadonlyMap<number, Host>, report: Report) {
    this.#engine = engine;
    this.#hosts = hosts;
    this.#report = report;
  }

  /** The state of whoever has applied most, alive or not. */
  newestState(): Cluster {
    const states = [...this.#hosts.values()].map(({ acceptor }) => acceptor);
    const newest = states.reduce((a, b) => (b.state.appliedIndex > a.state.appliedIndex ? b : a));
    return newest.cluster;
  }

  serverStarts(
    server: DataServer,
    { signalled, marked }: { readonly signalled: boolean; readonly marked: boolean },
  ): void {
    // initdb's own first run, before the cluster exists.
    if (server.dataDir.endsWith(".new")) return;
    if (marked) this.#report("D12", `node ${server.node} starts a data directory that is marked`);
    if (server.data.torn)
      this.#report("D12", `node ${server.node} starts a data directory that is not whole`);
    if (!signalled)
      this.#report("D12", `node ${server.node} starts a server that is not read-only`);
  }

  /** A node says that nothing of its data server is left (H26). Such a word may be late: one begun since only reads. */
  claimedFenced(node: number): void {
    const server = this.#hosts.get(node)?.server();
    if (server === undefined || (server.inRecovery && !server.promoting)) return;
    this.#report("D7", `node ${node} claims a fence, and processes of its data server live`);
  }

  /** The appointment this promotion can rest on. */
  #appointment(node: number, timeline: number): number | undefined {
    const epochs = this.#hosts.get(node)?.acceptor.cluster.epochs ?? [];
    const found = epochs.findLast((one) => one.node_id === node && one.timeline === timeline);
    return found === undefined ? undefined : Number(found.epoch);
  }

  promoted(server: DataServer, timeline: number, at: number): void {
    if (server.dataDir.endsWith(".new")) return;
    this.promotionCount += 1;
    const epoch = this.#appointment(server.node, timeline);
    if (epoch === undefined) {
      this.#report(
        "D3",
        `node ${server.node} promoted to timeline ${timeline}, which nobody planned for it`,
      );
    }
    if (this.#timelines.has(timeline)) {
      this.#report(
        "D3",
        `nodes ${this.#timelines.get(timeline)} and ${server.node} both began timeline ${timeline}`,
      );
    }
    this.#timelines.set(timeline, server.node);
    if (epoch !== undefined) {
      if (this.#promotions.has(epoch)) {
        this.#report("D3", `epoch ${epoch} was promoted for a second time, on node ${server.node}`);
      }
      this.#promotions.set(epoch, { node: server.node, timeline });
    }
    if (server.hbaOpen) {
      const what = "whose rows may be nobody else's: its gate is open";
      this.#report("D14", `node ${server.node} promotes before clients, ${what}`);
    }
    const held = new Set(server.data.wal.map(({ id }) => id));
    const lost = this.acks.find(
      (one) => one.epoch < (epoch ?? Infinity) && !held.has(one.record.id),
    );
    if (lost !== undefined) {
      this.#report(
        "D4",
        `node ${server.node} promoted at ${formatLsn(at)} for epoch ${epoch} without ` +
          `${lost.record.key}, acknowledged by node ${lost.node} in epoch ${lost.epoch}`,
      );
    }
  }

  stamped(server: DataServer, stamp: StampRow): void {
    const promotion = this.#promotions.get(stamp.epoch);
    if (
      promotion === undefined ||
      promotion.node !== server.node ||
      promotion.timeline !== stamp.timeline
    ) {
      this.#report(
        "D3",
        `node ${server.node} stamps epoch ${stamp.epoch}, which it did not promote for`,
      );
    }
  }

  attempted(_server: DataServer, key: string): void {
    this.attempts.add(key);
  }

  acknowledged(server: DataServer, record: Rec): void {
    const epoch = server.epoch();
    const { now } = this.#engine;
    this.acks.push({ record, epoch, node: server.node, at: now });
    this.gap.longest = Math.max(this.gap.longest, now - this.gap.last);
    this.gap.last = now;
    const newest = this.#newestAck;
    if (newest === undefined || epoch >= newest.epoch) {
      if (newest !== undefined && epoch === newest.epoch && newest.server.node !== server.node) {
        this.#report(
          "D6",
          `nodes ${newest.server.node} and ${server.node} both acknowledge in epoch ${epoch}`,
        );
      }
      this.#newestAck = { epoch, server };
      return;
    }
    // Late news of a write that the newer epoch holds is no second writer.
    if (newest.server.data.wal.some(({ id }) => id === record.id)) return;
    this.#report(
      "D6",
      `node ${server.node} acknowledges ${record.key} in epoch ${epoch}, after node ` +
        `${newest.server.node} did in epoch ${newest.epoch}`,
    );
  }

  read(_server: DataServer, records: readonly Rec[]): void {
    for (const { id, key, kind } of records) {
      if (kind === "commit" && key !== undefined) this.#readIds.set(id, key);
    }
  }

  reported(store: Store, epoch: number, lsn: number): void {
    const server = this.#hosts.get(store.node)?.server();
    this.#reports.set(store.node, { epoch, lsn, dir: server?.dataDir ?? "" });
    if (server === undefined) return;
    if (server.receiver.alive()) {
      this.#report("D5", `node ${store.node} reports for epoch ${epoch} while a receiver runs`);
    }
    this.flushed(server);
  }

  /** Its report was that of a life that is over; what it holds has another name from now on (H56). */
  begunAnew(node: number): void {
    this.#reports.delete(node);
  }

  followed(store: Store, epoch: number): void {
    const report = this.#reports.get(store.node);
    if (report !== undefined && epoch >= report.epoch) this.#reports.delete(store.node);
  }

  flushed(server: DataServer): void {
    const report = this.#reports.get(server.node);
    if (report === undefined || report.dir !== server.dataDir || server.work.dead) return;
    if (server.data.end() > report.lsn && server.inRecovery) {
      this.#report(
        "D5",
        `node ${server.node} holds ${formatLsn(server.data.end())} after it reported ` +
          `${formatLsn(report.lsn)} for epoch ${report.epoch}`,
      );
    }
  }

  receiverStarted(server: DataServer, upstream: DataServer): void {
    if (this.#reports.has(server.node)) {
      this.#report("D5", `node ${server.node} streams from node ${upstream.node} after its report`);
    }
  }

  standbyConfirmed(server: DataServer, sender: Sender): void {
    if (server.inRecovery) return;
    if (sender.flushed > server.data.end()) {
      this.#report(
        "D9",
        `${sender.name} confirms ${formatLsn(sender.flushed)}, beyond its primary's end`,
      );
    }
    const twins = server.senders.list.filter(
      ({ name }) => name.toLowerCase() === sender.name.toLowerCase(),
    );
    if (twins.length > 1)
      this.#report("D9", `${sender.name} is attached twice to node ${server.node}`);
  }

  rulesChanged(): void {
    for (const host of this.#hosts.values()) {
      const server = host.server();
      if (server !== undefined) this.checkRules(server);
    }
  }

  /** No set that some walsender would count as enough may be missed by every set of reports that suffices (D8). */
  checkRules(server: DataServer): void {
    const state = this.newestState();
    const epoch = state.epochs.at(-1);
    const current = epoch?.node_id === server.node && epoch.state !== "opened";
    if (server.inRecovery || !server.ready || !current || state.mode === "async") return;
    if (server.epoch() !== Number(epoch.epoch) || server.work.dead) return;
    const rules: SyncRule[] = server.senders.list.map(({ rule }) => rule).filter(({ k }) => k > 0);
    if (!server.syncDefined) rules.push({ text: "", k: 0, names: [] });
    for (const rule of rules) {
      const missed = missedBy(state, server.node, rule);
      if (missed === undefined) continue;
      this.#report(
        "D8",
        `node ${server.node} may acknowledge by "${rule.text}" on ${missed.join(", ")} alone, and enough ` +
          "reports can come from the others",
      );
    }
  }

  /** At the end, when everything is at rest: what was promised is in the final state. */
  final(primary: DataServer): void {
    const held = new Set(primary.data.wal.map(({ id }) => id));
    const keys = new Set(primary.data.wal.map(({ key }) => key));
    const lost = this.acks.filter(({ record }) => !held.has(record.id));
    if (lost.length > 0) {
      const [first] = lost;
      this.#report(
        "D1",
        `${lost.length} acknowledged writes are lost, first ${first?.record.key} of epoch ${first?.epoch}`,
      );
    }
    for (const key of keys) {
      if (key !== undefined && !key.startsWith("orphan:") && !this.attempts.has(key)) {
        this.#report("D2", `${key} was never attempted`);
      }
    }
    for (const [id, key] of this.#readIds) {
      if (!held.has(id))
        this.#report("D14", `${key} was read through an open gate and is not in the final state`);
    }
  }
}

/** Nodes on which a commit would rest, if some sufficient set of reports misses them all. */
export function missedBy(
  { rule: bound, nextRule, members }: Pick<Cluster, "rule" | "nextRule" | "members">,
  primary: number,
  rule: SyncRule,
): number[] | undefined {
  const listed = members
    .filter(
      ({ node_id, incarnation }) =>
        node_id !== primary &&
        incarnation !== null &&
        rule.names.includes(standbyName(node_id, incarnation)),
    )
    .map(({ node_id }) => node_id);
  const binding = nextRule === null ? [bound] : [bound, nextRule];
  for (const chosen of subsets(listed, rule.k)) {
    const holders = [primary, ...chosen];
    const free = binding.every(
      ({ k, cohort }) => cohort.filter((id) => !holders.includes(id)).length >= cohort.length - k,
    );
    if (free) return holders;
  }
  return undefined;
}

function subsets(items: readonly number[], size: number): number[][] {
  if (size === 0) return [[]];
  const [first, ...rest] = items;
  if (first === undefined || items.length < size) return [];
  return [...subsets(rest, size - 1).map((set) => [first, ...set]), ...subsets(rest, size)];
}
