/** A client that writes numbered rows as fast as it can, knows what was acknowledged, and checks it at the end. */
import type pg from "pg";
import { monotonicClock } from "../../src/clock/clock.ts";
import { hangUp, onUnconfirmed, open, sqlstate, withClient } from "./sql.ts";
import { until } from "./until.ts";

export interface WriterOptions {
  /** Single-host URIs, tried in turn. */
  readonly hosts: readonly string[];
  readonly table?: string;
  /** Rows of several writers in one table are told apart by it. */
  readonly writer?: number;
  /** Between the starts of two writes, milliseconds; default 0: as fast as it can. */
  readonly everyMs?: number;
  readonly connectMs?: number;
  readonly answerMs?: number;
}

/** One stretch without an acknowledged write, on the monotonic clock. */
export interface Gap {
  readonly ms: number;
  readonly from: number;
  readonly to: number;
}

export interface Ack {
  readonly at: number;
  /** Index into `hosts`. */
  readonly host: number;
  /** When the connection that carried it was begun. */
  readonly connectedAt: number;
}

export interface WriterResult {
  readonly attempted: number;
  readonly acknowledged: number;
  /** Sent, and nothing certain heard. */
  readonly unknown: number;
  /** Refused by a server that said so. */
  readonly refused: number;
  /** Acknowledged ids that are not in the table: must be empty. */
  readonly lost: readonly number[];
  /** Ids in the table that nobody sent, or that a server refused: must be empty. */
  readonly invented: readonly number[];
  /** Unknown ids that turned out to be there. */
  readonly unknownPresent: number;
  readonly largestGap: Gap;
}

export interface Writer {
  readonly attempted: number;
  readonly acknowledged: number;
  readonly lastAck: Ack | undefined;
  /** The largest gap that ended after `since`; a gap still open counts up to now. */
  gapSince(since: number): Gap;
  /** The first acknowledgement over a connection begun after `since`. */
  nextAckOverNewConnection(since: number, limitMs: number): Promise<Ack>;
  untilAcknowledged(more: number, limitMs: number): Promise<void>;
  /** Stop, wait for the write under way. */
  stop(): Promise<void>;
  /** Compare with what a server holds; call after `stop`. */
  check(uri: string): Promise<WriterResult>;
}

const SENT = 1;
const ACKNOWLEDGED = 2;
const REFUSED = 3;
/** SQLSTATEs that a server gives before it has done anything: the write did not happen. */
const NEVER_HAPPENED = new Set(["25006", "57P03", "53300", "42P01", "3D000", "28000", "28P01"]);
/**
 * A rest after each fruitless turn through all hosts, milliseconds. It is part of the gap that is measured; without it
 * one client's logins keep a core of a small machine busy just when the servers need it.
 */
const TURN_MS = 20;

/** Make the table; through a connection to the primary. */
export async function createWriterTable(uri: string, table = "written"): Promise<void> {
  await withClient(uri, {}, (client) =>
    client.query(
      `create table if not exists ${table} (writer integer, id bigint, primary key (writer, id))`,
    ),
  );
}

/** Start writing; the table must exist. */
export function startWriter(options: WriterOptions): Writer {
  return new RunningWriter(options);
}

class RunningWriter implements Writer {
  private readonly options: WriterOptions;
  private readonly table: string;
  private readonly writer: number;
  private readonly running: Promise<void>;
  private stopping = false;
  private client: pg.Client | undefined;
  private host = 0;
  private connectedAt = 0;
  private warned = false;
  /** What became of each id; grows by doubling. */
  private fate = new Uint8Array(1 << 16);
  attempted = 0;
  acknowledged = 0;
  lastAck: Ack | undefined;
  private readonly gaps: Gap[] = [];
  private largest: Gap = { ms: 0, from: 0, to: 0 };

  constructor(options: WriterOptions) {
    this.options = options;
    this.table = options.table ?? "written";
    this.writer = options.writer ?? 1;
    this.running = this.work();
  }

  private async work(): Promise<void> {
    let failures = 0;
    while (!this.stopping) {
      const started = monotonicClock.now();
      const ok = await this.attempt();
      failures = ok ? 0 : failures + 1;
      const turn = failures > 0 && failures % this.options.hosts.length === 0 ? TURN_MS : 0;
      const rest = Math.max(turn, (this.options.everyMs ?? 0) - (monotonicClock.now() - started));
      if (rest > 0) await monotonicClock.sleep(rest);
    }
    this.dropConnection();
  }

  /** One write; on any failure the next host is tried next time. */
  private async attempt(): Promise<boolean> {
    let id: number | undefined;
    try {
      const client = this.client ?? (await this.connect());
      id = this.nextId();
      this.warned = false;
      await client.query({
        name: "write",
        text: `insert into ${this.table} (writer, id) values ($1, $2)`,
        values: [this.writer, id],
      });
      if (this.warned) return true; // committed here, confirmed by nobody: unknown (H13)
      this.acknowledge(id);
      return true;
    } catch (error) {
      if (id !== undefined && NEVER_HAPPENED.has(sqlstate(error))) this.fate[id] = REFUSED;
      this.dropConnection();
      this.host = (this.host + 1) % this.options.hosts.length;
      return false;
    }
  }

  private async connect(): Promise<pg.Client> {
    const { hosts, connectMs = 250, answerMs = 250 } = this.options;
    this.connectedAt = monotonicClock.now();
    const client = await open(hosts[this.host] ?? "", { connectMs, answerMs });
    onUnconfirmed(client, () => {
      this.warned = true;
    });
    this.client = client;
    return client;
  }

  private dropConnection(): void {
    if (this.client !== undefined) hangUp(this.client);
    this.client = undefined;
  }

  private nextId(): number {
    const id = this.attempted;
    this.attempted += 1;
    if (this.attempted > this.fate.length) {
      const larger = new Uint8Array(this.fate.length * 2);
      larger.set(this.fate);
      this.fate = larger;
    }
    this.fate[id] = SENT;
    return id;
  }

  private acknowledge(id: number): void {
    this.fate[id] = ACKNOWLEDGED;
    this.acknowledged += 1;
    const at = monotonicClock.now();
    const from = this.lastAck?.at;
    if (from !== undefined) this.noteGap({ ms: at - from, from, to: at });
    this.lastAck = { at, host: this.host, connectedAt: this.connectedAt };
  }

  private noteGap(gap: Gap): void {
    if (gap.ms > this.largest.ms) this.largest = gap;
    if (gap.ms >= 10) this.gaps.push(gap);
  }

  gapSince(since: number): Gap {
    const from = this.lastAck?.at ?? since;
    const to = monotonicClock.now();
    const open: Gap = { ms: to - from, from, to };
    const ended = this.gaps.filter((gap) => gap.to >= since);
    return [...ended, open].reduce((a, b) => (b.ms > a.ms ? b : a));
  }

  nextAckOverNewConnection(since: number, limitMs: number): Promise<Ack> {
    return until("a write is acknowledged over a new connection", { limitMs, everyMs: 2 }, () => {
      const ack = this.lastAck;
      return ack !== undefined && ack.connectedAt >= since && ack;
    });
  }

  async untilAcknowledged(more: number, limitMs: number): Promise<void> {
    const wanted = this.acknowledged + more;
    await until(`${more} more writes are acknowledged`, { limitMs, everyMs: 5 }, () => {
      return this.acknowledged >= wanted;
    });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
  }

  async check(uri: string): Promise<WriterResult> {
    const present = await this.readBack(uri);
    const lost: number[] = [];
    const invented = [...present.beyond];
    const counts = { unknown: 0, refused: 0, unknownPresent: 0 };
    for (let id = 0; id < this.attempted; id++) {
      const fate = this.fate[id];
      const there = present.seen[id] === 1;
      if (fate === ACKNOWLEDGED && !there) lost.push(id);
      if (fate === REFUSED && there) invented.push(id);
      if (fate === REFUSED) counts.refused += 1;
      if (fate === SENT) counts.unknown += 1;
      if (fate === SENT && there) counts.unknownPresent += 1;
    }
    const { attempted, acknowledged, largest: largestGap } = this;
    return { attempted, acknowledged, lost, invented, largestGap, ...counts };
  }

  /** Ids in the table, in slices, so that millions fit. */
  private async readBack(uri: string): Promise<{ seen: Uint8Array; beyond: number[] }> {
    const seen = new Uint8Array(this.attempted);
    const beyond: number[] = [];
    await withClient(uri, { answerMs: 60_000 }, async (client) => {
      let after = -1;
      for (;;) {
        const { rows } = await client.query<[string]>({
          text: `select id from ${this.table} where writer = $1 and id > $2 order by id limit 50000`,
          values: [this.writer, after],
          rowMode: "array",
        });
        for (const [text] of rows) {
          const id = Number(text);
          if (id < seen.length) seen[id] = 1;
          else beyond.push(id);
        }
        const last = rows.at(-1);
        if (last === undefined) return;
        after = Number(last[0]);
      }
    });
    return { seen, beyond };
  }
}
