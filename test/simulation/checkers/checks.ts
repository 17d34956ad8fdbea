/** Every invariant of docs/proof.md that a simulated run can see, told of each step as it happens. */

import type { Durable } from "../../oracle/twin/acceptor.ts";
import type { Engine } from "../engine.ts";
import type { DataServer } from "../model/data-server.ts";
import type { Args } from "../model/functions.ts";
import type { Host } from "../model/host.ts";
import type { Row } from "../model/network.ts";
import type { Sender } from "../model/senders.ts";
import type { Store } from "../model/store.ts";
import type { Rec, StampRow } from "../model/wal.ts";
import { type Call, ControlChecks } from "./control.ts";
import { DataChecks } from "./data.ts";
import { isChange } from "./members.ts";

/** How the modelled servers misbehave in this run; the fault plan sets it. */
export interface Plan {
  /** Chance that a killed postmaster leaves a busy backend. */
  orphans: number;
  /** Chance that a child reads a reload late. */
  lateReloads: number;
  slowDisk: number;
  slowReplay: number;
  /** The disk says "flushed" and forgets at the next crash (N4). */
  lyingDisk: boolean;
  /** `fsync=off`: a power cut takes what was written last (N2). */
  fsyncOff: boolean;
}

export const CALM: Plan = {
  orphans: 0,
  lateReloads: 0,
  slowDisk: 1,
  slowReplay: 1,
  lyingDisk: false,
  fsyncOff: false,
};

export interface Violation {
  readonly invariant: string;
  readonly at: number;
  readonly message: string;
}

export class Checks {
  readonly violations: Violation[] = [];
  readonly control: ControlChecks;
  readonly data: DataChecks;
  plan: Plan = { ...CALM };
  /** Changes of the members, and of what is wanted of them, that were committed: what, and when. */
  readonly changes: { readonly kind: string; readonly at: number }[] = [];
  readonly #engine: Engine;

  constructor(engine: Engine, hosts: ReadonlyMap<number, Host>) {
    this.#engine = engine;
    const report = (invariant: string, message: string) => this.violated(invariant, message);
    this.control = new ControlChecks(hosts, report);
    this.data = new DataChecks(engine, hosts, report);
  }

  violated(invariant: string, message: string): void {
    // One of each kind tells; the rest follows from it.
    if (this.violations.some((one) => one.invariant === invariant)) return;
    this.violations.push({ invariant, at: this.#engine.now, message });
    this.#engine.trace("!!", `${invariant} violated: ${message}`);
  }

  // Control plane
  called(
    store: Store,
    name: string,
    args: Args,
    rows: readonly Row[],
    known: Pick<Call, "members" | "applied">,
  ): void {
    this.control.called({
      ...known,
      name,
      to: store.node,
      from: Number(args.p_from),
      incarnation: String(args.p_incarnation),
      term: Number(args.p_term),
      commit: Number(args.p_commit),
      granted: rows[0]?.granted === true,
      installed: rows[0]?.reason === "installed",
    });
    if (name === "peer.install_snapshot") {
      this.#engine.trace(store.node, `snapshot at ${args.p_index}: ${rows[0]?.reason}`);
    }
    if (name === "peer.request_vote" && rows[0]?.granted === true) {
      this.#engine.trace(store.node, `votes for ${args.p_from} in term ${args.p_term}`);
    }
  }
  stored(store: Store): void {
    this.control.stored(store.node);
  }
  committed(store: Store): void {
    this.control.committed(store.node);
  }
  applied(store: Store, before: Durable): void {
    for (const { index, kind, outcome, first } of this.control.applied(store.node, before)) {
      this.#engine.trace(store.node, `applies ${index} ${kind}: ${outcome}`);
      if (first && (isChange(kind) || kind === "set_member")) {
        this.changes.push({ kind, at: this.#engine.now });
      }
      if (kind.startsWith("rule")) this.data.rulesChanged();
    }
  }
  begunAnew(node: number, former: string): void {
    this.control.begunAnew(node, former);
    this.data.begunAnew(node);
    this.#engine.trace(node, "begins anew: its control store is lost");
  }
  forgot(store: Store): void {
    this.control.forgot(store.node);
  }
  answered(store: Store, key: string, found: { index: bigint; outcome: string }): void {
    this.control.answered(store.node, key, found);
  }
  afterCall(store: Store): void {
    this.control.afterCall(store.node);
  }
  reported(store: Store, epoch: number, lsn: number): void {
    this.data.reported(store, epoch, lsn);
  }
  followed(store: Store, epoch: number): void {
    this.data.followed(store, epoch);
  }

  // Data plane
  serverStarts(
    server: DataServer,
    how: { readonly signalled: boolean; readonly marked: boolean },
  ): void {
    this.data.serverStarts(server, how);
  }
  claimedFenced(node: number): void {
    this.data.claimedFenced(node);
  }
  promoted(server: DataServer, timeline: number, at: number): void {
    this.data.promoted(server, timeline, at);
  }
  stamped(server: DataServer, stamp: StampRow): void {
    this.data.stamped(server, stamp);
  }
  attempted(server: DataServer, key: string): void {
    this.data.attempted(server, key);
  }
  acknowledged(server: DataServer, record: Rec): void {
    this.data.acknowledged(server, record);
  }
  read(server: DataServer, records: readonly Rec[]): void {
    this.data.read(server, records);
  }
  flushed(server: DataServer): void {
    this.data.flushed(server);
  }
  receiverStarted(server: DataServer, upstream: DataServer): void {
    this.data.receiverStarted(server, upstream);
  }
  standbyConfirmed(server: DataServer, sender: Sender): void {
    this.data.standbyConfirmed(server, sender);
  }
  rulesMayHaveChanged(server: DataServer): void {
    this.data.checkRules(server);
  }
}
