/** One server: its pool of connections, the gate before them, and a connection of its own that asks how it is. */
import pg from "pg";
import type { Clock } from "../clock/clock.ts";
import { unless } from "../clock/unless.ts";
import { parseLsn } from "../core/ids.ts";
import { endsSession, messageOf, sqlstateOf } from "./errors.ts";
import { Gate, type Waiting } from "./gate.ts";
import { Link, limited, linkConfig } from "./link.ts";
import { type HostPort, nameOf, type Settings } from "./options.ts";
import { ewma, type NodeView } from "./routing.ts";

/** A place at the gate and a connection; both are given back by `release`, once. */
export interface Lease {
  readonly node: Node;
  readonly link: Link;
  /** `destroy`: the connection is in no state to be used again. */
  release(how?: "keep" | "destroy"): void;
}

/** Asked on every ping. What it calls is open to everybody and does no I/O. */
const JUDGE = `
  select pg_is_in_recovery() as recovery, current_setting('transaction_read_only') = 'on' as read_only,
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
              else pg_current_wal_lsn() end::text as lsn,
         case when not pg_is_in_recovery()
              then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
              end as timeline,
         case when not pg_is_in_recovery() or pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
              else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000
              end::float8 as lag_ms`;

interface Judged {
  readonly recovery: boolean;
  readonly read_only: boolean;
  readonly lsn: string | null;
  readonly timeline: number | null;
  readonly lag_ms: number | null;
}

/** Pings that may go unanswered before a node is out. */
const MISSES = 3;
/** Good pings before a node that was out gets reads again. */
const GOOD = 2;

/** A password that is refused may have been changed just now: it is asked for again, once. */
async function askingTwice<T>(connect: () => Promise<T>): Promise<T> {
  try {
    return await connect();
  } catch (error) {
    if (sqlstateOf(error) !== "28P01") throw error;
    return await connect();
  }
}

export class Node implements NodeView {
  readonly at: HostPort;
  readonly name: string;
  readonly gate: Gate;
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly links = new Set<Link>();
  /** Being dialled. */
  readonly #opening = new Set<Link>();
  #pool: pg.Pool;
  #monitor: Link | undefined;
  /** Sessions that begin now may be read-only, or writable, where its own is not. */
  #isMonitorOld = false;
  /** Answered pings in a row since it was out. */
  #good = 0;
  #ever = false;
  role: NodeView["role"] = "unknown";
  writable = false;
  answers = false;
  latencyMs: number | undefined;
  lsn: bigint | undefined;
  lagMs: number | undefined;
  timeline: number | undefined;
  /** As a control store says. */
  epoch: bigint | undefined;
  /** Why it is out, when it is. */
  lastError: unknown;
  /** Since when it is what it is, on the monotonic clock. */
  since: number;
  /** Something about it may have changed. */
  onSign: () => void = () => undefined;
  /** A connection was opened, closed, or lost while nobody used it. */
  onLink: (event: "connect" | "remove" | "error", link: Link, error?: Error) => void = () =>
    undefined;

  constructor(at: HostPort, settings: Settings, clock: Clock) {
    this.at = at;
    this.name = nameOf(at);
    this.#settings = settings;
    this.#clock = clock;
    this.since = clock.now();
    this.gate = new Gate(clock, settings.poolSize, settings.maxWaiting);
    this.#pool = this.#newPool();
  }

  get reachable(): boolean {
    return this.answers && (this.role === "primary" || this.#good >= GOOD);
  }

  get inUse(): number {
    return this.gate.inUse;
  }

  get idle(): number {
    return this.#pool.idleCount;
  }

  #newPool(): pg.Pool {
    const { at } = this;
    const settings = this.#settings;
    const opening = this.#opening;
    class NodeLink extends Link {
      constructor() {
        super(at, settings);
      }

      override async open(): Promise<void> {
        opening.add(this);
        await super.open().catch((error: unknown) => {
          opening.delete(this);
          throw error;
        });
      }
    }
    const pool = new pg.Pool({
      ...linkConfig(at, settings),
      max: settings.poolSize,
      idleTimeoutMillis: settings.idleTimeoutMs,
      maxLifetimeSeconds: Math.ceil(settings.maxLifetimeMs / 1000),
      Client: NodeLink as unknown as NonNullable<pg.PoolConfig["Client"]>,
    });
    pool.on("connect", (client) => {
      const link = client as unknown as Link;
      opening.delete(link);
      this.links.add(link);
      this.onLink("connect", link);
    });
    pool.on("remove", (client) => {
      const link = client as unknown as Link;
      this.links.delete(link);
      this.onLink("remove", link);
    });
    // An idle connection was lost: pg has dropped it. The others may be as dead.
    pool.on("error", (error, client) => {
      this.suspect();
      this.onLink("error", client as unknown as Link, error);
    });
    return pool;
  }

  /** A connection, as soon as there is a place. Rejects with why there is none. */
  async lease(patience: Waiting): Promise<Lease> {
    if (!this.gate.tryEnter()) await this.gate.enter(patience);
    const client = await this.#connected(patience);
    let held = true;
    const link = client as unknown as Link;
    link.waitCancelled = false;
    const giveBack = client.release.bind(client);
    return {
      node: this,
      link,
      release: (how = "keep") => {
        if (!held) return;
        held = false;
        link.lastUsed = this.#clock.now();
        const end = () => {
          const usable = how === "keep" && !link.lost && link.isInNoTransaction;
          if (!usable) link.destroy();
          giveBack(!usable);
          this.gate.leave();
        };
        if (how === "keep") link.whenReady(end);
        else end();
      },
    };
  }

  /** From pg's pool: an idle one comes in the next tick; another is dialled, and he may not wish to wait for it. */
  async #connected(patience: Waiting): Promise<pg.PoolClient> {
    const pool = this.#pool;
    const isThere = pool.idleCount > pool.waitingCount;
    const connect = () =>
      new Promise<pg.PoolClient>((resolve, reject) => {
        pool.connect((error, got) => (got === undefined ? reject(error) : resolve(got)));
      });
    const came = askingTwice(connect);
    try {
      const client = await (isThere ? came : unless(patience.waitSignal, came));
      (client as unknown as Link).check(); // dropped since it was promised
      return client;
    } catch (error) {
      // Whenever it comes it is the next one's.
      const late = came.then((client) => client.release()).catch(() => undefined);
      void late.then(() => this.gate.leave());
      throw error;
    }
  }

  /** Trust no idle connection, and look at once. What is in use goes on: it may be one session that was ended. */
  suspect(): void {
    this.#renewPool();
    this.onSign();
  }

  /** A session that has just begun is not what the monitor's tells of all: it asks in a new one. */
  distrust(): void {
    this.#isMonitorOld = true;
    this.suspect();
  }

  /** It is gone or no longer what it was: every connection goes now, and who waits for one goes elsewhere. */
  drop(why: unknown): void {
    this.#renewPool();
    for (const link of [...this.links, ...this.#opening]) link.destroy();
    this.gate.refuseAll(why);
  }

  /** Idle connections close now, those in use when they come back. */
  #renewPool(): void {
    if (this.#pool.ending) return; // it was ended for good
    const old = this.#pool;
    this.#pool = this.#newPool();
    // An idle connection is handed out in the next tick, and a pool that was ended before forgets whoever waits for it.
    setImmediate(() => void old.end());
  }

  /** Ask it how it is; true when something that matters for routing has changed. Never throws. */
  async look(): Promise<boolean> {
    const before = `${this.reachable} ${this.role} ${this.writable}`;
    try {
      const link = await this.#monitorLink();
      const asked = this.#clock.now();
      const limit = { what: `ping of ${this.name}`, ms: MISSES * this.#settings.pingIntervalMs };
      const { rows } = await limited(this.#clock, limit, () => link.query<Judged>(JUDGE));
      const [judged] = rows;
      if (judged === undefined) throw new Error(`${this.name} gave no answer to a ping`);
      this.#learn(judged, this.#clock.now() - asked);
    } catch (error) {
      this.#out(error);
    }
    const changed = before !== `${this.reachable} ${this.role} ${this.writable}`;
    if (changed) this.since = this.#clock.now();
    return changed;
  }

  async #monitorLink(): Promise<Link> {
    const known = this.#monitor;
    if (known !== undefined && !known.lost && !this.#isMonitorOld) return known;
    known?.destroy();
    this.#isMonitorOld = false;
    return await askingTwice(async () => {
      const link = new Link(this.at, this.#settings);
      // Its loss is the first sign of all: it does not wait for the next ping.
      link.on("error", () => this.onSign());
      this.#monitor = link;
      await link.connect();
      return link;
    });
  }

  #learn(judged: Judged, latency: number): void {
    const role = judged.recovery ? "standby" : "primary";
    const wasWritable = this.writable;
    this.#good = this.#ever ? this.#good + 1 : GOOD;
    this.#ever = true;
    this.answers = true;
    this.lastError = undefined;
    this.role = role;
    this.writable = !judged.recovery && !judged.read_only;
    this.#isMonitorOld ||= !judged.recovery && judged.read_only; // for good, if it is so only since its begin
    this.lsn = judged.lsn === null ? undefined : parseLsn(judged.lsn);
    this.timeline = judged.timeline ?? undefined;
    this.lagMs = judged.lag_ms ?? undefined;
    this.latencyMs = ewma(this.latencyMs, latency);
    if (wasWritable && !this.writable)
      this.drop(new Error(`${this.name} takes no writes any more`));
  }

  #out(error: unknown): void {
    this.#monitor?.destroy();
    this.#monitor = undefined;
    this.#good = 0;
    this.lastError = error;
    if (this.answers) this.drop(error);
    this.answers = false;
    this.writable = false;
  }

  /** Trying again changes nothing: who we are, or what we ask for, is wrong. */
  get isHopeless(): boolean {
    const error = this.lastError;
    const sqlstate = sqlstateOf(error);
    if (sqlstate !== undefined) return endsSession(error) && /^(28P01|3D000)$/.test(sqlstate);
    return error instanceof Error && /^Tls(Config)?Error$/.test(error.name);
  }

  /** For the detail of an error: why it serves nothing. */
  get state(): string {
    if (this.lastError !== undefined) return `${this.name}: ${messageOf(this.lastError)}`;
    const what = this.answers ? this.role : "not asked yet";
    return `${this.name}: ${what}${this.role === "primary" && !this.writable ? ", read-only" : ""}`;
  }

  /** Close what is idle now and the rest when it comes back; resolves when nothing is left open. */
  async end(): Promise<void> {
    this.#monitor?.destroy();
    this.#monitor = undefined;
    if (!this.#pool.ending) await this.#pool.end();
  }
}
