/**
 * A running data server, modelled: start and end, recovery and promotion, sessions, and commits that wait for
 * standbys.
 * Two processes stand for all: the postmaster, which takes connections and reloads, and `work`, which is
 * everything else.
 */
import { DatabaseError } from "../adapters/pg.ts";
import type { Proc } from "../engine.ts";
import { forgets, type World } from "../world.ts";
import { Commits } from "./commits.ts";
import { cannotFollow, isOpen, writeHistory, writePidFile } from "./data-files.ts";
import type { Answer, Query, Service, Session } from "./network.ts";
import { Receiver } from "./receiver.ts";
import { Senders } from "./senders.ts";
import { answerSql } from "./sql.ts";
import { dataOf, formatLsn, newestTimeline, type PgData, readConf } from "./wal.ts";

/** What `spawn("postgres", ["-D", dir])` leaves behind: a process that will be a server, or will end. */
export function startPostmaster(world: World, dataDir: string, node: number): DataServer {
  return new DataServer(world, dataDir, node, world.engine.count("server"));
}

export class DataServer implements Service {
  readonly world: World;
  readonly dataDir: string;
  readonly node: number;
  readonly proc: Proc;
  /** Backends, walsenders, receiver, startup: they may outlive the postmaster for a while (H05). */
  readonly work: Proc;
  readonly segment: number;
  readonly data: PgData;
  conf: ReadonlyMap<string, string> = new Map();
  hbaOpen = false;
  inRecovery = true;
  ready = false;
  stopping = false;
  replayed: number;
  /** Whether commits wait for anybody at all: published by the checkpointer, later than a reload (H17). */
  syncDefined = false;
  readonly sessions = new Set<Session>();
  readonly commits: Commits;
  readonly senders: Senders;
  readonly receiver: Receiver;
  promoting = false;
  /** Monotone count of the startup process's rests, and reloads it has not taken yet. */
  reloadsPending = 0;
  checkpointing = false;
  /** The postmaster has a reload to take. */
  reloading = false;
  /** Reloads the checkpointer has not taken yet. */
  publishing = 0;
  #keys: string[] = [];

  constructor(world: World, dataDir: string, node: number, serial: number) {
    const { engine, files } = world;
    this.world = world;
    this.dataDir = dataDir;
    this.node = node;
    this.proc = engine.spawn("postgres", node);
    this.work = engine.spawn("backends", node);
    this.segment = serial;
    const data = dataOf(files, dataDir);
    if (data === undefined) throw new Error(`${dataDir}: no data`);
    this.data = data;
    this.replayed = 0;
    this.commits = new Commits(this);
    this.senders = new Senders(this);
    this.receiver = new Receiver(this);
    world.procs.set(this.proc.pid, this.proc);
    const former = world.servers.get(dataDir);
    world.starting.set(dataDir, this);
    this.proc.onDeath.push(() => this.#postmasterEnded());
    this.work.onDeath.push(() => this.#workEnded());
    engine.after(this.#ms(1, 6), "server.begin", () => this.#begin(former), this.proc);
  }

  /** Everything of it is gone. */
  gone(): boolean {
    return this.proc.dead && this.work.dead;
  }

  epoch(): number {
    return this.data.newestStamp(this.replayed)?.epoch ?? 0;
  }

  trace(text: string): void {
    this.world.engine.trace(this.node, `server ${text}`);
  }

  flushedEnd(): number {
    return this.data.end();
  }

  timeline(): number {
    return this.data.lastTimeline();
  }

  //  Life

  #begin(former: DataServer | undefined): void {
    const { files, checks, starting } = this.world;
    if (starting.get(this.dataDir) === this) starting.delete(this.dataDir);
    if (former !== undefined && former !== this && !former.work.dead) {
      this.trace("does not start: a pre-existing shared memory block is in use");
      this.end();
      return;
    }
    this.world.servers.set(this.dataDir, this);
    const signalled = files.has(`${this.dataDir}/standby.signal`);
    checks.serverStarts(this, { signalled, marked: files.has(`${this.dataDir}.marker`) });
    this.conf = readConf(files, this.dataDir);
    this.hbaOpen = isOpen(files, this.conf);
    files.remove(`${this.dataDir}/promote`);
    writePidFile(this, "starting");
    this.inRecovery = signalled;
    const why = signalled ? cannotFollow(files, this.dataDir, this.data) : undefined;
    if (why !== undefined || this.data.torn) {
      this.trace(`does not start: ${why ?? "the files are of no one history"}`);
      this.end();
      return;
    }
    this.data.state = signalled ? "in_archive_recovery" : "in_production";
    this.world.engine.after(this.#ms(8, 60), "server.ready", () => this.#becomeReady(), this.work);
  }

  #becomeReady(): void {
    if (this.proc.dead) return;
    this.replayed = this.data.wal.length;
    this.syncDefined = this.conf.get("synchronous_standby_names") !== "";
    this.ready = true;
    writePidFile(this, "ready");
    const port = this.conf.get("port") ?? "0";
    this.#keys = [`${this.conf.get("unix_socket_directories")}:${port}`];
    const listen = this.conf.get("listen_addresses") ?? "";
    if (listen !== "") this.#keys.push(`${listen}:${port}`);
    for (const key of this.#keys) this.world.network.listen(key, this);
    this.trace(
      `ready ${this.inRecovery ? "in recovery" : "as primary"} at ${formatLsn(this.data.end())} on ${this.timeline()}`,
    );
    if (!this.inRecovery) return;
    this.receiver.aim();
    this.receiver.configure();
  }

  /** Everything ends at once: a kill of all, or the end of a stop, which waits for every child. */
  end(): void {
    const { engine } = this.world;
    engine.kill(this.work);
    engine.kill(this.proc);
  }

  #postmasterEnded(): void {
    const { network, engine } = this.world;
    for (const key of this.#keys) network.unlisten(key, this);
    this.trace("postmaster ended");
    if (this.work.dead) return;
    // Idle children notice at once; what is busy lives on (H05), and commits without waiting for anybody.
    this.senders.endAll();
    this.receiver.end();
    const orphan = engine.random("crash").chance(this.world.checks.plan.orphans);
    this.commits.abandon();
    if (!orphan) {
      engine.after(this.#ms(0.2, 3), "server.children", () => engine.kill(this.work));
      return;
    }
    this.trace("an orphan goes on");
    this.#spin();
  }

  #spin(): void {
    const { engine } = this.world;
    if (!this.inRecovery) {
      this.data.append("commit", 64, { key: `orphan:${this.node}` });
      this.replayed = this.data.wal.length;
    }
    engine.after(this.#ms(5, 40), "server.orphan", () => this.#spin(), this.work);
  }

  #workEnded(): void {
    const { network } = this.world;
    this.ready = false;
    if (forgets(this.world, this.node) && !this.stopping) this.data.wal.splice(-2);
    network.dropServedBy(this.proc, network.dark.has(this.node));
    this.senders.endAll();
    this.receiver.died();
    for (const slot of this.data.slots.values()) slot.active = false;
    this.commits.abandon();
    this.sessions.clear();
    if (!this.proc.dead) this.world.engine.kill(this.proc);
  }

  /** SIGKILL of the postmaster alone. */
  killPostmaster(): void {
    this.world.engine.kill(this.proc);
  }

  /** SIGINT: sessions end, waiters are published, standbys get the rest, one last checkpoint. */
  stop(): void {
    if (this.stopping || this.proc.dead) return;
    this.stopping = true;
    this.trace("stops");
    for (const session of [...this.sessions]) this.endSession(session);
    const finish = () => {
      if (this.inRecovery) this.data.state = "shut_down_in_recovery";
      else {
        this.commits.flushAll();
        this.data.append("shutdown", 120);
        this.replayed = this.data.wal.length;
        this.data.state = "shut_down";
        this.data.checkpointLsn = this.data.end();
        this.data.timeline = this.timeline();
        this.senders.push();
      }
      const waits = this.inRecovery ? 2 : 400;
      const until = this.world.engine.now + waits;
      const drained = () => {
        if (this.world.engine.now >= until || this.senders.drained()) this.#leave();
        else this.world.engine.after(5, "server.drain", drained, this.proc);
      };
      drained();
    };
    this.world.engine.after(this.#ms(2, 20), "server.stop", finish, this.proc);
  }

  /** Some archivers take their time: whoever waits for the last WAL to be archived waits for them (F51). */
  #leave(): void {
    const { engine, files } = this.world;
    const leave = () => {
      files.remove(`${this.dataDir}/postmaster.pid`);
      this.end();
    };
    const slow = !this.inRecovery && this.data.wal.length % 3 === 0;
    if (slow) engine.after(5000, "server.archive", leave, this.proc);
    else leave();
  }

  /** SIGHUP: the postmaster reads again, and every child later, in its own time (H17). */
  reload(): void {
    const { engine, files } = this.world;
    if (!this.ready) return;
    this.reloading = true;
    engine.after(
      this.#ms(0.3, 4),
      "server.reload",
      () => {
        this.conf = readConf(files, this.dataDir);
        this.hbaOpen = isOpen(files, this.conf);
        this.#forwardReload();
        this.reloading = false;
      },
      this.proc,
    );
  }

  /** The postmaster has read; each child is told now, and reads when it gets to it. */
  #forwardReload(): void {
    const { engine } = this.world;
    const late = engine.random("timers").chance(this.world.checks.plan.lateReloads);
    this.reloadsPending += 1;
    this.publishing += 1;
    engine.after(this.#ms(0.05, 1), "startup.reload", () => this.#startupReload(), this.work);
    const slow = late ? this.#ms(50, 900) : this.#ms(0.5, 12);
    engine.after(slow, "checkpointer.reload", () => this.#publishSync(), this.work);
    this.senders.reload(late);
  }

  #startupReload(): void {
    this.reloadsPending = Math.max(0, this.reloadsPending - 1);
    if (this.inRecovery) this.receiver.configure();
  }

  #publishSync(): void {
    this.publishing -= 1;
    const defined = this.conf.get("synchronous_standby_names") !== "";
    if (this.syncDefined && !defined) this.commits.release(Number.POSITIVE_INFINITY);
    this.syncDefined = defined;
    this.world.checks.rulesMayHaveChanged(this);
  }

  //  Promotion

  promote(): void {
    const { engine, files } = this.world;
    if (!this.inRecovery || this.promoting) return;
    this.promoting = true;
    files.write(`${this.dataDir}/promote`, "");
    this.trace("is told to promote");
    this.receiver.end();
    engine.after(this.#ms(10, 90), "server.promote", () => this.#becomePrimary(), this.work);
  }

  #becomePrimary(): void {
    const { files, checks } = this.world;
    if (this.proc.dead) return;
    if (this.receiver.alive()) {
      this.world.engine.after(5, "server.promote", () => this.#becomePrimary(), this.work);
      return;
    }
    const { data } = this;
    const old = data.lastTimeline();
    const timeline = newestTimeline(files, this.dataDir, old) + 1;
    const at = data.end();
    writeHistory(files, this.dataDir, { old, timeline, at });
    data.partial = 0;
    data.append("switch", 48, { timeline });
    this.replayed = data.wal.length;
    data.state = "in_production";
    files.remove(`${this.dataDir}/standby.signal`);
    files.remove(`${this.dataDir}/promote`);
    this.inRecovery = false;
    this.promoting = false;
    this.senders.endAll();
    this.syncDefined = this.conf.get("synchronous_standby_names") !== "";
    this.trace(`promoted to timeline ${timeline} at ${formatLsn(at)}`);
    checks.promoted(this, timeline, at);
  }

  //  Sessions and commits

  login(session: Session): Error | undefined {
    if (!this.ready) return new DatabaseError("57P03", "the database system is starting up");
    if (this.stopping) return new DatabaseError("57P03", "the database system is shutting down");
    const local = session.target.host.startsWith("/");
    const member = session.target.user.startsWith("pgreplica_node_");
    if (!local && !member && !this.hbaOpen) {
      return new DatabaseError("28000", "pg_hba.conf rejects connection");
    }
    this.sessions.add(session);
    return undefined;
  }

  execute(session: Session, query: Query, answer: (answer: Answer) => void): void {
    if (!this.sessions.has(session)) return;
    const { engine } = this.world;
    engine.after(
      this.#ms(0.05, 0.25),
      "server.run",
      () => {
        if (this.sessions.has(session)) answerSql(this, session, query, answer);
      },
      this.work,
    );
  }

  ended(session: Session): void {
    this.sessions.delete(session);
  }

  endSession(session: Session): void {
    this.sessions.delete(session);
    this.commits.publishOf(session);
    session.serverGone();
  }

  #ms(low: number, high: number): number {
    return this.world.engine.random("disk").between(low, high);
  }
}
