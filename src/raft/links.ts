/**
 * Connections to the other control stores.
 *
 * Each peer has three lanes: `beat` for heartbeats alone, opened when first used, and `work` for everything else,
 * kept open always, because its reset is the fastest hint that a node died. It carries the first heartbeats too, while
 * the other opens. `bulk`, opened when first used, is for what takes long and must be in nobody's way: snapshots.
 * "No answer" is a value.
 */
import type pg from "pg";
import type { Clock } from "../clock/clock.ts";
import type { TlsFiles } from "../config/tls.ts";
import type { NodeId } from "../core/ids.ts";
import { connect } from "../db/connect.ts";
import { hello, rehearse, type Sender } from "../db/peer.ts";
import { isTlsRefusal } from "../db/tls.ts";
import type { Log } from "../log/logger.ts";
import type { Reach } from "./raft.ts";

export type Lane = "beat" | "work" | "bulk";
export const NO_ANSWER = Symbol("no answer");
export type NoAnswer = typeof NO_ANSWER;

export interface PeerAddress {
  readonly id: NodeId;
  readonly host: string;
  readonly port: number;
  /** Where it may be as well: tried when it has not answered at its own place for a while. */
  readonly elsewhere?: { readonly host: string; readonly port: number } | undefined;
  readonly user: string;
  readonly password?: string;
  readonly tls?: TlsFiles | undefined;
}

export interface LinkOptions {
  readonly me: Sender;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The connection was closed and a new one refused. */
  readonly onLost: (peer: NodeId) => void;
  readonly onHello: (peer: NodeId, incarnation: string) => void;
  /** These it calls members, newer ones than the own log knows among them. */
  readonly onIntroduced: (members: readonly NodeId[]) => void;
}

/** An acceptor as a leader reaches it. */
export type AcceptorLink = Pick<Link, "id" | "call">;

const CONNECT_LIMIT_MS = 1000;
/** Of a state that is as large as anybody keeps one; a connection that is lost shows within seconds. */
export const BULK_LIMIT_MS = 1_800_000;
/** What an entry does may take long too, and begun anew each time it would never end. */
const STATEMENT_LIMIT_MS: Readonly<Record<Lane, number>> = {
  beat: 5000,
  work: 300_000,
  bulk: BULK_LIMIT_MS,
};
/** Whoever waits for a statement like that is told no, and does not pile up behind it. */
const LOCK_LIMIT_MS = 5000;
const RETRY_MS = 200;
const HASTY_TRIES = 10;
const HASTY_MS = 10;
const STUCK_LIMIT_MS = 1000;
const REHEARSE_AFTER_MS = 500;
const REHEARSE_LIMIT_MS = 2000;
/** A new leader's first heartbeats go with its first entries: it has more to do than to open connections. */
const BEAT_AFTER_MS = 300;
/** Of the tries that follow the hasty ones, one in so many goes where it may be as well. */
const ELSEWHERE = 4;

/** Another node answers where this one should. */
class SomebodyElse extends Error {
  override readonly name = "SomebodyElse";
  /** As a stranger is refused. */
  readonly code = "RF008";
}

/** One lane: connects, reconnects, and gives its client out while it is up. */
class LaneLink {
  client: pg.Client | undefined;
  /** When the oldest call was made that is still without an answer. */
  stuckSince = Number.POSITIVE_INFINITY;
  /** Settles when the last question asked has its answer. */
  tail: Promise<unknown> = Promise.resolve();
  #wake: (() => void) | undefined;

  /** Give the connection up; whatever was asked on it stays without an answer. */
  drop(): void {
    const { client } = this;
    this.client = undefined;
    this.tail = Promise.resolve();
    this.stuckSince = Number.POSITIVE_INFINITY;
    this.#wake?.();
    client?.end().catch(() => undefined);
  }

  untilLost(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted || this.client === undefined) done();
    });
  }
}

/** A peer's control store, as reachable as it is. */
export class Link {
  readonly id: NodeId;
  readonly #address: PeerAddress;
  readonly #options: LinkOptions;
  readonly #lanes: Record<Lane, LaneLink> = {
    beat: new LaneLink(),
    work: new LaneLink(),
    bulk: new LaneLink(),
  };
  readonly #running = new Set<Lane>();
  readonly #end = new AbortController();
  /** Where it said that it is reached. */
  #heardAt: PeerAddress["elsewhere"];
  #complaint = "";
  #reach: Reach = "unknown";
  #reachSince: number;

  constructor(address: PeerAddress, options: LinkOptions) {
    this.id = address.id;
    this.#address = address;
    this.#options = { ...options, signal: AbortSignal.any([options.signal, this.#end.signal]) };
    this.#reachSince = options.clock.now();
    this.#open("work");
  }

  leadsTo({ host, port }: PeerAddress): boolean {
    return host === this.#address.host && port === this.#address.port;
  }

  /** It says that it is reached there: tried before any other place. */
  tryAlso(place: PeerAddress["elsewhere"]): void {
    this.#heardAt = place;
  }

  /** Nobody is reached over it any more. */
  close(): void {
    this.#end.abort();
  }

  /** How this peer answers, and since when. */
  reach(): { readonly reach: Reach; readonly sinceMs: number } {
    return { reach: this.#reach, sinceMs: this.#options.clock.now() - this.#reachSince };
  }

  /** Its heartbeats stopped at `since`: it is silent, though no call of ours has failed yet. */
  silentSince(since: number): void {
    if (this.#reach === "refused") return;
    this.#setReach("silent");
    this.#reachSince = Math.min(this.#reachSince, since);
  }

  /** Call a peer function; no connection, no answer within the limit, or a broken one: NO_ANSWER. */
  async call<T>(
    lane: Lane,
    limitMs: number,
    ask: (client: pg.Client) => Promise<T>,
  ): Promise<T | NoAnswer> {
    this.#open(lane);
    const { work, [lane]: own } = this.#lanes;
    const link = lane === "beat" && own.client === undefined ? work : own;
    const { client } = link;
    if (client === undefined) return NO_ANSWER;
    const { clock } = this.#options;
    if (clock.now() - link.stuckSince > STUCK_LIMIT_MS) {
      link.drop();
      return NO_ANSWER;
    }
    const limit = new AbortController();
    const late = clock.sleep(limitMs, limit.signal).then((): NoAnswer => NO_ANSWER);
    // One question at a time on a connection; those behind it wait here.
    let unable = false;
    const answer = link.tail
      .then((): Promise<T | NoAnswer> | NoAnswer =>
        link.client === client ? ask(client) : NO_ANSWER,
      )
      .catch((error: unknown): NoAnswer => {
        this.#complain(error);
        unable = isUnable(error);
        return NO_ANSWER;
      });
    link.tail = answer;
    const asked = clock.now();
    const first: T | NoAnswer = await Promise.race<T | NoAnswer>([answer, late]);
    limit.abort(null);
    if (first === NO_ANSWER && !unable) {
      // A late answer stays matched to its own question; only a connection that is stuck is dropped.
      if (link.stuckSince > asked) link.stuckSince = asked;
      if (this.#reach !== "refused") this.#setReach("silent");
      void answer.then((late) => late !== NO_ANSWER && this.#answered(link, client));
      return NO_ANSWER;
    }
    this.#answered(link, client);
    return first;
  }

  /** However late: a slow disk, or a network that loses packets, is no silence. */
  #answered(link: LaneLink, client: pg.Client): void {
    if (link.client !== client) return;
    link.stuckSince = Number.POSITIVE_INFINITY;
    this.#setReach("ok");
  }

  /**
   * A store that answers with an error, or is not taken for a member's, is worth a line, once; a broken connection is
   * told by its reach.
   */
  #complain(error: unknown): void {
    const text = String(error);
    const refusal = sqlstateOf(error) !== undefined || isTlsRefusal(error);
    if (!refusal || text === this.#complaint) return;
    this.#complaint = text;
    this.#options.log.warn({ event: "raft.alarm", peer: this.id, code: stateOf(error) }, text);
  }

  #setReach(reach: Reach): void {
    if (reach === this.#reach) return;
    const event = reach === "ok" ? "raft.peer_back" : "raft.peer_lost";
    this.#options.log.info({ event, peer: this.id, reach }, `node ${this.id}: ${reach}`);
    this.#reach = reach;
    this.#reachSince = this.#options.clock.now();
  }

  #open(lane: Lane): void {
    if (this.#running.has(lane)) return;
    this.#running.add(lane);
    void this.#keep(lane);
  }

  async #keep(lane: Lane): Promise<void> {
    const { signal, clock } = this.#options;
    const link = this.#lanes[lane];
    let failures = 0;
    if (lane === "beat") await clock.sleep(BEAT_AFTER_MS, signal);
    while (!signal.aborted) {
      const detour =
        failures > HASTY_TRIES && failures % ELSEWHERE === 0
          ? (this.#heardAt ?? this.#address.elsewhere)
          : undefined;
      const refused = await this.#connect(lane, detour);
      if (link.client !== undefined) {
        failures = 0;
        await link.untilLost(signal);
        continue;
      }
      failures += 1;
      // What is refused elsewhere says nothing of the node.
      if (detour === undefined) this.#notReached(refused);
      // A store that is being killed resets first and refuses a moment later.
      await clock.sleep(failures <= HASTY_TRIES && !refused ? HASTY_MS : RETRY_MS, signal);
    }
    link.drop();
  }

  /** In a quiet moment: a failover waits for the first call of each kind on a connection. */
  async #rehearse(client: pg.Client): Promise<void> {
    const { clock, signal, me, log } = this.#options;
    await clock.sleep(REHEARSE_AFTER_MS, signal);
    if (this.#lanes.work.client !== client) return;
    const said = await this.call("work", REHEARSE_LIMIT_MS, (own) => rehearse(own, me));
    if (said !== NO_ANSWER) log.debug({ event: "raft.rehearsed", peer: this.id }, said);
  }

  #notReached(refused: boolean): void {
    if (refused && this.#reach !== "refused") {
      this.#setReach("refused");
      this.#options.onLost(this.id);
    } else if (!refused && this.#reach !== "silent") {
      this.#setReach("silent");
    }
  }

  /** True when nothing listens there. */
  async #connect(lane: Lane, detour: PeerAddress["elsewhere"]): Promise<boolean> {
    const link = this.#lanes[lane];
    const { me, onHello, onIntroduced } = this.#options;
    let opened: pg.Client | undefined;
    try {
      const { host, port } = detour ?? this.#address;
      const client = await connect({
        ...this.#address,
        host,
        port,
        applicationName: `pg_replica ${me.nodeId} ${lane}`,
        connectLimitMs: CONNECT_LIMIT_MS,
        statementLimitMs: STATEMENT_LIMIT_MS[lane],
        lockLimitMs: LOCK_LIMIT_MS,
      });
      opened = client;
      client.once("end", () => {
        if (link.client === client) link.drop();
      });
      const reply = await hello(client, me);
      if (reply.node_id !== this.id) {
        throw new SomebodyElse(`node ${reply.node_id} answers at ${host}:${port}`);
      }
      link.client = client;
      onHello(this.id, reply.incarnation);
      onIntroduced(reply.members);
      this.#setReach("ok");
      if (lane === "work") void this.#rehearse(client);
      return false;
    } catch (error) {
      opened?.end().catch(() => undefined);
      this.#complain(error);
      const code = (error as { code?: unknown }).code;
      return code === "ECONNREFUSED" || code === "ENOENT";
    }
  }
}

/** It is there and says that it cannot: short of room, broken. Not that it takes us for a stranger. */
function isUnable(error: unknown): boolean {
  const state = sqlstateOf(error);
  return state !== undefined && !/^(28|RF)/.test(state);
}

/** What the store itself answered; a connection that ended, or is being ended (08, 57), or a lock is no answer. */
function sqlstateOf(error: unknown): string | undefined {
  const state = stateOf(error);
  return typeof state === "string" && /^(?!08|57|55P03|EPIPE)[0-9A-Z]{5}$/.test(state)
    ? state
    : undefined;
}

/** The SQLSTATE, or the system's word, of an error or of what caused it. */
function stateOf(error: unknown): unknown {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
  return code ?? cause?.code;
}
