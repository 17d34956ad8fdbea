/** The WAL receiver and the startup process of a data server in recovery. */
import type { DataServer } from "./data-server.ts";
import { Channel } from "./network.ts";
import { historyName, newestTimeline, type Rec, readHistory, SEGMENT } from "./wal.ts";

const TIMEOUT_MS = 3000;
const RETRY_MS = 20;

export class Receiver {
  readonly server: DataServer;
  state: "none" | "connecting" | "streaming" | "ending" = "none";
  /** Null until something was received since the start (H08). */
  received: number | null = null;
  #upstream: DataServer | undefined;
  #conninfo = "";
  #slot = "";
  /** Received and not yet flushed. */
  #pending: Rec[] = [];
  #flushing = false;
  /** A record that does not continue what was replayed: replay stands still for ever. */
  broken = false;
  #run = 0;
  #there: Channel | undefined;
  #back: Channel | undefined;
  #heardAt = 0;
  #restSince = 0;
  #rests = 0;
  #replaying = false;
  #target = 1;

  constructor(server: DataServer) {
    this.server = server;
  }

  alive(): boolean {
    return this.state !== "none";
  }

  upstream(): DataServer | undefined {
    return this.state === "streaming" ? this.#upstream : undefined;
  }

  /**
   * The timeline the next WAL is asked for on. Recovery goes on to the newest one there is a history file of, if it
   * comes from the one it is on, and never turns back (H35).
   */
  wantedTimeline(): number {
    const { dataDir, data, world } = this.server;
    const newest = newestTimeline(world.files, dataDir, this.#target);
    if (this.#forksOf(newest).some(({ timeline }) => timeline === this.#target))
      this.#target = newest;
    const at = data.end();
    const before = this.#forksOf(this.#target).find((fork) => at < fork.at);
    return before?.timeline ?? this.#target;
  }

  #forksOf(timeline: number) {
    return readHistory(this.server.world.files, this.server.dataDir, timeline) ?? [];
  }

  /** Started: what it will follow is found anew. */
  aim(): void {
    const { dataDir, data, world } = this.server;
    this.#target = newestTimeline(world.files, dataDir, data.lastTimeline());
  }

  /** Everything on disk is replayed, and the startup process waits. */
  parked(): boolean {
    const { server } = this;
    const done = server.replayed >= server.data.wal.length || this.broken;
    return done && !this.#replaying && !server.promoting && this.#pending.length === 0;
  }

  /** How often the startup process went to sleep. */
  rests(): number {
    const { now } = this.server.world.engine;
    return this.#rests + (this.parked() ? Math.floor((now - this.#restSince) / RETRY_MS) : 0);
  }

  /** It slept until now, and sleeps again in a moment. */
  #wake(): void {
    this.#rests = this.rests() + 1;
    this.#restSince = this.server.world.engine.now;
  }

  /** The startup process has read the settings: a receiver for another source ends, a missing one begins. */
  configure(): void {
    const { conf } = this.server;
    this.#wake();
    const wanted = conf.get("primary_conninfo") ?? "";
    const slot = conf.get("primary_slot_name") ?? "";
    const same = wanted === this.#conninfo && slot === this.#slot;
    this.#conninfo = wanted;
    this.#slot = slot;
    if (!same && this.alive()) this.end();
    else if (!this.alive()) this.#begin();
  }

  #begin(): void {
    const { server } = this;
    const { engine, network } = server.world;
    if (this.alive() || server.work.dead || !server.inRecovery || server.promoting) return;
    const word = (name: string) => new RegExp(`${name}='([^']*)'`).exec(this.#conninfo)?.[1];
    const host = word("host");
    if (this.#conninfo === "" || host === undefined) return;
    this.state = "connecting";
    this.#run += 1;
    const run = this.#run;
    const name = word("application_name") ?? "walreceiver";
    const to = network.nodeOf(host, server.node);
    const fail = () => {
      if (run === this.#run && this.state === "connecting") this.#gone();
    };
    engine.after(2000, "walreceiver.limit", fail, server.work);
    network.carry(server.node, to, "walreceiver.connect", () => {
      if (network.dark.has(to)) return;
      const service = network.service(`${host}:${word("port")}`);
      const upstream = [...server.world.servers.values()].find((one) => one === service);
      const ask = () => {
        const channel = new Channel(network, to, server.node);
        // An earlier question may arrive after a later one: what streams keeps its own order.
        if (run === this.#run) this.#there = channel;
        const why =
          upstream === undefined || upstream.work.dead || run !== this.#run
            ? "refused"
            : upstream.senders.accept(this, { name, slot: this.#slot, run });
        const back = () =>
          engine.deliver(server.work, "walreceiver.answer", () =>
            this.#answered(run, upstream, why),
          );
        channel.send("walreceiver.answer", back);
      };
      engine.after(1, "walsender.begin", ask, upstream?.work);
    });
  }

  #answered(run: number, upstream: DataServer | undefined, why: string | undefined): void {
    const { server } = this;
    const { engine } = server.world;
    if (run !== this.#run || this.state !== "connecting") {
      if (why === undefined) upstream?.senders.left(this, run);
      return;
    }
    if (why !== undefined || upstream === undefined) {
      if (why !== "refused") engine.trace(server.node, `walreceiver: ${why}`);
      this.#gone();
      return;
    }
    this.state = "streaming";
    this.#upstream = upstream;
    this.#heardAt = engine.now;
    this.#back = new Channel(server.world.network, server.node, upstream.node);
    const end = server.data.end();
    this.received ??= Math.floor(end / SEGMENT) * SEGMENT;
    server.data.partial = 0;
    this.#copyHistory(upstream);
    server.world.checks.receiverStarted(server, upstream);
    this.#reply();
    upstream.senders.push();
    engine.after(1000, "walreceiver.watch", () => this.#watch(run), server.work);
  }

  #copyHistory(upstream: DataServer): void {
    const { files } = this.server.world;
    for (let number = 2; number <= upstream.timeline(); number += 1) {
      const text = files.find(`${upstream.dataDir}/pg_wal/${historyName(number)}`)?.text;
      const own = `${this.server.dataDir}/pg_wal/${historyName(number)}`;
      if (text !== undefined && !files.has(own)) files.write(own, text);
    }
  }

  #watch(run: number): void {
    const { engine } = this.server.world;
    if (run !== this.#run || this.state !== "streaming") return;
    if (engine.now - this.#heardAt > TIMEOUT_MS) this.end();
    else engine.after(1000, "walreceiver.watch", () => this.#watch(run), this.server.work);
  }

  keepAlive(): void {
    this.#heardAt = this.server.world.engine.now;
    this.#reply();
  }

  /** From the upstream of that connection to here, in order; what an earlier one still sends reaches nobody. */
  carryTo(run: number, arrive: () => void): void {
    const { server } = this;
    const { engine } = server.world;
    if (run !== this.#run) return;
    const take = () => {
      if (run === this.#run) arrive();
    };
    this.#there?.send("stream.data", () => engine.deliver(server.work, "walreceiver.take", take));
  }

  take(batch: readonly Rec[]): void {
    if (this.state !== "streaming") return;
    this.#heardAt = this.server.world.engine.now;
    this.#pending.push(...batch);
    this.#flushSoon();
  }

  #flushSoon(): void {
    const { server } = this;
    if (this.#flushing || this.#pending.length === 0) return;
    this.#flushing = true;
    const wait =
      server.world.engine.random("disk").between(0.15, 1) * server.world.checks.plan.slowDisk;
    server.world.engine.after(
      wait,
      "walreceiver.flush",
      () => {
        this.#flushing = false;
        this.#flush();
        this.#reply();
      },
      server.work,
    );
  }

  /** What was received lies on disk now; records of a foreign history overwrite nothing that was replayed. */
  #flush(): void {
    const { data, world } = this.server;
    const batch = this.#pending.splice(0);
    if (batch.length === 0) return;
    const end = data.end();
    for (const record of batch) {
      if (record.end <= end) continue;
      if (record.previous !== data.wal.at(-1)?.id && !this.broken) {
        this.broken = true;
        world.engine.trace(this.server.node, "replay stops: the WAL does not go on here");
      }
      data.wal.push(record);
    }
    this.received = data.end();
    world.checks.flushed(this.server);
    this.#replaySoon();
  }

  #replaySoon(): void {
    const { server } = this;
    if (this.#replaying || this.broken) return;
    this.#replaying = true;
    const wait =
      server.world.engine.random("disk").between(0.05, 0.6) * server.world.checks.plan.slowReplay;
    server.world.engine.after(
      wait,
      "startup.replay",
      () => {
        this.#replaying = false;
        const { data } = server;
        for (const record of data.wal.slice(server.replayed)) {
          if (record.kind !== "checkpoint" && record.kind !== "shutdown") continue;
          data.timeline = record.timeline;
          data.checkpointLsn = record.end;
        }
        server.replayed = data.wal.length;
        this.#wake();
        server.senders.push();
      },
      server.work,
    );
  }

  #reply(): void {
    const { server } = this;
    const { engine } = server.world;
    const upstream = this.#upstream;
    const run = this.#run;
    if (upstream === undefined || this.state !== "streaming") return;
    const flushed = server.data.end();
    const hear = () => upstream.senders.heard(this, run, flushed);
    this.#back?.send("stream.reply", () => engine.deliver(upstream.work, "walsender.heard", hear));
  }

  /** The upstream is gone: perhaps in the middle of a record. */
  upstreamEnded(): void {
    if (this.state !== "streaming") return;
    const { server } = this;
    if (server.world.engine.random("crash").chance(0.3)) server.data.partial = 32;
    this.end();
  }

  /** Told to end: what it has received it still flushes, a moment later (H01). */
  end(): void {
    const { server } = this;
    const { engine } = server.world;
    if (this.state === "none" || this.state === "ending") return;
    this.state = "ending";
    const run = this.#run;
    engine.after(
      engine.random("timers").between(1, 30),
      "walreceiver.end",
      () => {
        if (run !== this.#run) return;
        this.#flush();
        if (server.data.partial > 0 && this.received !== null)
          this.received = server.data.end() + 32;
        this.#bye();
        this.#gone();
      },
      server.work,
    );
  }

  /** The server died: its kernel resets what was open. */
  died(): void {
    const { world, node } = this.server;
    if (this.#upstream !== undefined && !world.network.dark.has(node)) this.#bye();
    this.#upstream = undefined;
    this.state = "none";
    this.#run += 1;
  }

  #bye(): void {
    const { server } = this;
    const { engine, network } = server.world;
    const upstream = this.#upstream;
    const run = this.#run;
    if (upstream === undefined) return;
    const left = () => upstream.senders.left(this, run);
    network.carry(server.node, upstream.node, "stream.bye", () =>
      engine.deliver(upstream.work, "walsender.left", left),
    );
  }

  #gone(): void {
    const { server } = this;
    const { engine } = server.world;
    this.#wake();
    this.state = "none";
    this.#upstream = undefined;
    this.#run += 1;
    engine.after(
      engine.random("timers").between(RETRY_MS, 2 * RETRY_MS),
      "startup.retry",
      () => this.#begin(),
      server.work,
    );
  }
}
