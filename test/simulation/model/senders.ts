/** The walsenders of one data server: who streams from it, and whose word releases a waiting commit. */
import type { DataServer } from "./data-server.ts";
import type { Receiver } from "./receiver.ts";
import { parseRule, type Rec, readHistory, type SyncRule } from "./wal.ts";

export interface Sender {
  readonly name: string;
  readonly pid: number;
  readonly receiver: Receiver;
  readonly slot: string;
  /** Which of the receiver's connections it serves. */
  readonly run: number;
  /** Each walsender holds its own parsed copy of the rule, read again late (H17). */
  rule: SyncRule;
  /** Up to here WAL was sent when it was told to read the rule again, which it has not done yet. */
  toldAt: number | undefined;
  sent: number;
  flushed: number;
  heardAt: number;
}

const TIMEOUT_MS = 3000;
const KEEPALIVE_MS = 1000;

export class Senders {
  readonly #server: DataServer;
  readonly list: Sender[] = [];

  constructor(server: DataServer) {
    this.#server = server;
  }

  /** Why this receiver may not stream from here, or undefined: then it does. */
  accept(
    receiver: Receiver,
    { name, slot, run }: { readonly name: string; readonly slot: string; readonly run: number },
  ): string | undefined {
    const server = this.#server;
    const { data, world } = server;
    const theirs = receiver.server.data;
    if (!server.ready || server.stopping) return "not ready";
    if (theirs.systemIdentifier !== data.systemIdentifier) return "another system";
    const known = data.slots.get(slot);
    if (known === undefined || known.lost) return `replication slot ${slot} does not exist`;
    if (known.active) return `replication slot ${slot} is active`;
    const at = theirs.end();
    if (at < data.oldest) return "requested WAL segment has already been removed";
    const timeline = receiver.wantedTimeline();
    if (timeline > server.timeline()) return "the primary's timeline is behind";
    if (timeline !== server.timeline()) {
      const history = readHistory(world.files, server.dataDir, server.timeline()) ?? [];
      const fork = history.find((one) => one.timeline === timeline);
      if (fork === undefined) return `timeline ${timeline} is not in this server's history`;
      if (at > fork.at) return "the new timeline forked off before the current recovery point";
    }
    known.active = true;
    this.list.push({
      name,
      pid: 2_000_000 + world.engine.count("walsender"),
      receiver,
      slot,
      run,
      rule: parseRule(server.conf.get("synchronous_standby_names") ?? ""),
      toldAt: undefined,
      sent: at,
      flushed: 0,
      heardAt: world.engine.now,
    });
    world.checks.rulesMayHaveChanged(server);
    world.engine.after(
      KEEPALIVE_MS,
      "walsender.keepalive",
      () => this.#keepAlive(receiver, run),
      server.work,
    );
    return undefined;
  }

  #of(receiver: Receiver, run: number): Sender | undefined {
    return this.list.find((sender) => sender.receiver === receiver && sender.run === run);
  }

  #keepAlive(receiver: Receiver, run: number): void {
    const sender = this.#of(receiver, run);
    if (sender === undefined) return;
    const { engine } = this.#server.world;
    if (engine.now - sender.heardAt > TIMEOUT_MS) {
      this.drop(sender);
      return;
    }
    receiver.carryTo(run, () => receiver.keepAlive());
    engine.after(
      KEEPALIVE_MS,
      "walsender.keepalive",
      () => this.#keepAlive(receiver, run),
      this.#server.work,
    );
  }

  reload(late: boolean): void {
    const { engine } = this.#server.world;
    for (const sender of this.list) {
      const wait = late
        ? engine.random("timers").between(20, 800)
        : engine.random("timers").between(0.5, 10);
      sender.toldAt ??= sender.sent;
      engine.after(wait, "walsender.reload", () => this.#read(sender), this.#server.work);
    }
  }

  #read(sender: Sender): void {
    sender.toldAt = undefined;
    sender.rule = parseRule(this.#server.conf.get("synchronous_standby_names") ?? "");
    this.#server.world.checks.rulesMayHaveChanged(this.#server);
    this.#evaluateBy(sender);
  }

  /** Send what is flushed and not sent. */
  push(): void {
    for (const sender of this.list) this.#send(sender);
  }

  #send(sender: Sender): void {
    const { data } = this.#server;
    if (this.#server.work.dead) return;
    const batch: Rec[] = [];
    for (let at = data.wal.length - 1; at >= 0; at -= 1) {
      const record = data.wal[at] as Rec;
      if (record.end <= sender.sent) break;
      batch.unshift(record);
    }
    if (batch.length === 0) return;
    sender.sent = (batch.at(-1) as Rec).end;
    sender.receiver.carryTo(sender.run, () => sender.receiver.take(batch));
  }

  /** A standby says how far it has flushed. */
  heard(receiver: Receiver, run: number, flushed: number): void {
    const sender = this.#of(receiver, run);
    if (sender === undefined) return;
    const { world, data } = this.#server;
    sender.heardAt = world.engine.now;
    if (flushed <= sender.flushed) return;
    // WalSndLoop looks for a reload before it hears anybody: what answers WAL sent since comes after that.
    if (sender.toldAt !== undefined && flushed > sender.toldAt) this.#read(sender);
    sender.flushed = flushed;
    const slot = data.slots.get(sender.slot);
    if (slot !== undefined) slot.restart = Math.max(slot.restart, Math.min(flushed, data.end()));
    world.checks.standbyConfirmed(this.#server, sender);
    this.#evaluateBy(sender);
  }

  /** As the walsender that has just heard does it, with its own copy of the rule. */
  #evaluateBy({ rule, name }: Sender): void {
    const server = this.#server;
    if (server.inRecovery || rule.k === 0 || !rule.names.includes(name.toLowerCase())) return;
    const flushed = this.list
      .filter((one) => rule.names.includes(one.name.toLowerCase()))
      .map((one) => one.flushed)
      .sort((a, b) => b - a);
    const enough = flushed[rule.k - 1];
    if (enough !== undefined) server.commits.release(enough);
  }

  evaluate(): void {
    for (const sender of [...this.list]) this.#evaluateBy(sender);
  }

  drop(sender: Sender): void {
    const at = this.list.indexOf(sender);
    if (at < 0) return;
    this.list.splice(at, 1);
    const slot = this.#server.data.slots.get(sender.slot);
    if (slot !== undefined) slot.active = false;
    // A node without power says no farewell.
    if (this.#server.world.network.dark.has(this.#server.node)) return;
    sender.receiver.carryTo(sender.run, () => sender.receiver.upstreamEnded());
  }

  endAll(): void {
    for (const sender of [...this.list]) this.drop(sender);
  }

  left(receiver: Receiver, run: number): void {
    const sender = this.#of(receiver, run);
    if (sender !== undefined) this.drop(sender);
  }

  drained(): boolean {
    const end = this.#server.data.end();
    return this.list.every((sender) => sender.flushed >= end);
  }
}
