/** One session of the stream: frames in, feedback out, and an end that both sides know of. */
import { monotonicClock } from "../clock/clock.ts";
import type { Connection } from "../replication/connection.ts";
import { ServerError } from "../replication/errors.ts";
import * as wire from "../replication/wire.ts";
import type { Confirmed } from "./confirmed.ts";
import { ReplicationError, toReplicationError } from "./errors.ts";
import type { Lsn } from "./lsn.ts";
import type { Settings } from "./options.ts";
import { type History, openUpstream, type Start, type UpstreamSink } from "./upstream.ts";
import { type Status, statusUpdate } from "./wal-message.ts";

export interface Opened {
  /** Where the server begins. */
  readonly startLsn: Lsn;
  readonly history: History;
  /** undefined: the end of a transaction waits for nobody. */
  readonly confirmed: Confirmed | undefined;
}

export interface SessionEvents {
  /** Everything fits; the first frame follows. */
  onOpen(opened: Opened): void;
  /** Standbys hold more than they did. */
  onConfirmed(): void;
  /** A frame stands in `bytes` from `from` up to `end`. */
  onFrame(bytes: Buffer, from: number, end: number): void;
  /** The server ended the stream, and all it sent has been handed over. */
  onServerEnd(): void;
  onFailure(error: ReplicationError): void;
}

type Phase = "streaming" | "server_ended" | "ending" | "closed";

export class Session implements UpstreamSink {
  readonly #events: SessionEvents;
  readonly #rested = Promise.withResolvers<void>();
  #upstream: Connection | undefined;
  #confirmed: Confirmed | undefined;
  #phase: Phase = "streaming";
  #ended = false;
  #taken = false;
  #early: (() => void) | undefined;

  private constructor(events: SessionEvents) {
    this.#events = events;
  }

  /** Throws ReplicationError as `openUpstream` does. */
  static async open(
    settings: Settings,
    start: Start,
    events: SessionEvents,
    signal: AbortSignal,
  ): Promise<Session> {
    const session = new Session(events);
    session.#upstream = await openUpstream(settings, start, session, signal);
    return session;
  }

  /**
   * Whoever opened it has it: what became of it before is told now. Until then only `open` tells, or two would begin
   * the next session, and each drop what the other one brings.
   */
  taken(): void {
    this.#taken = true;
    this.#early?.();
  }

  #tell(event: () => void): void {
    if (this.#taken) event();
    else this.#early = event;
  }

  get #connection(): Connection {
    if (this.#upstream === undefined) throw new ReplicationError("internal", "no session is open");
    return this.#upstream;
  }

  opening(opened: Opened): void {
    // What became of the host before this one is over.
    this.#phase = "streaming";
    this.#early = undefined;
    this.#confirmed = opened.confirmed;
    this.#events.onOpen(opened);
  }
  confirmedMore(): void {
    if (this.#phase !== "closed") this.#events.onConfirmed();
  }

  pause(): void {
    this.#connection.pause();
  }
  resume(): void {
    this.#connection.resume();
  }

  sendStatus(status: Status): void {
    // After our CopyDone nothing of the copy may follow.
    const open = this.#phase === "streaming" || this.#phase === "server_ended";
    if (open && !this.#ended) this.#connection.send(statusUpdate(status));
  }

  flushed(): Promise<void> {
    return this.#connection.flushed();
  }

  data(bytes: Buffer, from: number, end: number): void {
    if (this.#phase === "streaming") this.#events.onFrame(bytes, from, end);
  }

  message(message: wire.BackendMessage): void {
    if (message.kind === "readyForQuery") this.#rested.resolve();
    else if (message.kind === "error") this.lost(new ServerError(message.error));
    else if (this.#phase === "streaming") {
      // CopyDone; a server that shuts down sends only the end of the statement.
      this.#phase = "server_ended";
      this.#tell(() => this.#events.onServerEnd());
    }
  }

  lost(error: unknown): void {
    const phase = this.#phase;
    this.#close();
    if (phase === "server_ended") this.#rested.resolve();
    else if (phase === "ending") this.#rested.reject(toReplicationError(error));
    else if (phase === "streaming") {
      this.#tell(() => this.#events.onFailure(toReplicationError(error)));
    }
    this.#rested.promise.catch(() => undefined); // whoever waits for the end has it; nobody may wait
  }

  /** Last status update, CopyDone, the server's CopyDone and ReadyForQuery, Terminate. */
  async end(status: Status, limitMs: number): Promise<void> {
    if (this.#phase === "closed") return;
    this.sendStatus(status);
    this.#ended = true;
    if (this.#phase === "streaming") this.#phase = "ending";
    this.#connection.send(wire.copyDone());
    this.#connection.resume();
    const late = new AbortController();
    const limit = monotonicClock.sleep(limitMs, late.signal).then(() => {
      if (late.signal.aborted) return;
      throw new ReplicationError("io", `the server did not end the stream within ${limitMs} ms`);
    });
    try {
      await Promise.race([this.#rested.promise, limit]);
    } catch (error) {
      this.destroy(error);
      throw error;
    } finally {
      late.abort();
    }
    this.#close();
    await this.#connection.close();
  }

  destroy(reason: unknown): void {
    this.#close();
    this.#upstream?.destroy(reason);
  }

  #close(): void {
    this.#phase = "closed";
    this.#confirmed?.close();
  }
}
