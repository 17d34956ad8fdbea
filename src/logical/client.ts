/**
 * A change stream: committed transactions in commit order, at least once, acknowledged only by the consumer.
 * running → stopping (nothing new is taken; what is buffered is still yielded) → ended · running → failed
 */
import { monotonicClock } from "../clock/clock.ts";
import { FrameBuffer } from "./buffer.ts";
import { Delivery } from "./delivery.ts";
import { Doorbell } from "./doorbell.ts";
import { aborted, ReplicationError, toReplicationError } from "./errors.ts";
import type { ReplicationEvent } from "./events.ts";
import { iterate } from "./iterate.ts";
import { Lsn } from "./lsn.ts";
import { noCounts, type ReplicationMetrics } from "./metrics.ts";
import { type ReplicationConfig, type Settings, settingsOf } from "./options.ts";
import { Highest } from "./position.ts";
import { type Opened, Session } from "./session.ts";
import { ShutdownAsk } from "./shutdown-ask.ts";
import type { History } from "./upstream.ts";
import { isKeepalive, POSITION_AT, type Status, wallMicros, wantsReply } from "./wal-message.ts";

const END_LIMIT_MS = 10_000;
/** At the end the standbys have so long to confirm what is held back. */
const PATIENCE_MS = 100;
/** It let us in before, and will again once it may serve. */
const NOT_LET_IN = "28000";
/** While a bound is waited for the server is asked how far it is. */
const BOUND_INTERVAL_MS = 1000;

type Phase = "running" | "stopping" | "ended" | "failed";

export class ReplicationClient implements AsyncIterable<ReplicationEvent>, AsyncDisposable {
  readonly #settings: Settings;
  readonly #buffer: FrameBuffer;
  readonly #delivery: Delivery;
  readonly #life = new AbortController();
  #session: Session | undefined;
  #history: History | undefined;
  #phase: Phase = "running";
  #serverEnded = false;
  #patient = true;
  #failure: ReplicationError | undefined;
  #pulling = false;
  readonly #doorbell = new Doorbell();
  /** The last one that was begun: over, or under way. */
  #reconnecting: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  readonly #received = new Highest();
  readonly #ask = new ShutdownAsk();
  /** Where the stream began, which may be later than it was asked to. */
  #begun: Lsn = Lsn.ZERO;
  #applied: Lsn = Lsn.ZERO;
  readonly #counts = noCounts();

  private constructor(settings: Settings) {
    this.#settings = settings;
    this.#buffer = new FrameBuffer({ events: settings.bufferEvents, bytes: settings.bufferBytes });
    this.#delivery = new Delivery(settings);
    const timeline = settings.startTimeline;
    this.#history = timeline === undefined ? undefined : { timeline, systemIdentifier: undefined };
  }

  /**
   * Resolves once the server streams. Everything that can be wrong with the configuration, the network, TLS, the
   * login, the slot or a publication rejects here, with a ReplicationError.
   */
  static async connect(
    config: ReplicationConfig,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ReplicationClient> {
    const client = new ReplicationClient(settingsOf(config));
    const abort = () => client.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      if (signal?.aborted) abort();
      client.#life.signal.throwIfAborted();
      await client.#open(client.#settings.startLsn, false);
    } catch (cause) {
      client.#phase = "failed";
      throw client.#failure ?? toReplicationError(cause);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    void client.#keepInforming();
    return client;
  }

  /** Feedback goes out at its own pace, however slow the consumer is. */
  async #keepInforming(): Promise<void> {
    const { statusIntervalMs, idleWakeupIntervalMs, stopAtLsn } = this.#settings;
    const replyRequested = stopAtLsn !== undefined;
    const boundMs = replyRequested ? BOUND_INTERVAL_MS : idleWakeupIntervalMs;
    const everyMs = Math.min(statusIntervalMs, idleWakeupIntervalMs, boundMs);
    while (!this.#life.signal.aborted) {
      this.#sendStatus(replyRequested);
      await monotonicClock.sleep(everyMs, this.#life.signal);
    }
  }

  async #open(lsn: Lsn, resuming: boolean): Promise<void> {
    const reached = Lsn.max(lsn, this.#delivery.delivered);
    const from = this.#history && { ...this.#history, reached };
    const session = await Session.open(
      this.#settings,
      { lsn, resuming, from },
      {
        onOpen: (session) => this.#onOpen(session),
        onFrame: (bytes, from, end) => this.#take(bytes, from, end),
        onConfirmed: () => this.#doorbell.ring(),
        onServerEnd: () => this.#onServerEnd(),
        onFailure: (error) => this.#onLost(error),
      },
      this.#life.signal,
    );
    this.#session = session;
    this.#buffer.attach(session);
    session.taken();
  }

  /** Before the first frame. */
  #onOpen({ startLsn, confirmed, history }: Opened): void {
    this.#delivery.begin(startLsn, confirmed);
    this.#history = history;
    this.#received.raise(startLsn);
    this.#begun = startLsn;
  }

  /** A frame has arrived; feedback never waits for the consumer. */
  #take(bytes: Buffer, from: number, end: number): void {
    if (this.#phase !== "running") return;
    this.#counts.bytesReceived += end - from;
    const keepalive = isKeepalive(bytes, from, end);
    this.#received.raiseFrom(bytes, from + POSITION_AT);
    if (keepalive && wantsReply(bytes, from)) this.#answer(this.#received.lsn);
    this.#buffer.put(bytes, from, end);
    this.#doorbell.ring();
  }

  #answer(asked: Lsn): void {
    this.#counts.keepaliveReplies += 1;
    this.#ask.answer(asked, this.#life.signal, () => this.#sendStatus(false));
  }

  #onServerEnd(): void {
    if (this.#phase !== "running") return;
    const ended = new ReplicationError("io", "the server ended the stream");
    if (this.#settings.reconnect !== undefined) this.#onLost(ended);
    else {
      this.#serverEnded = true;
      void this.#losePatience();
    }
    this.#doorbell.ring();
  }

  #onLost(error: ReplicationError): void {
    this.#session?.destroy(error);
    this.#session = undefined;
    if (this.#phase === "running" && error.isTransient && this.#settings.reconnect !== undefined) {
      this.#reconnecting = this.#reconnect(error, this.#settings.reconnect);
    } else this.#fail(error);
  }

  #fail(error: ReplicationError): void {
    if (this.#phase === "ended" || this.#phase === "failed") return;
    this.#phase = "failed";
    this.#failure = error;
    this.#rest(error);
  }

  /** What was not delivered, or not acknowledged, comes again. */
  async #reconnect(
    first: ReplicationError,
    { maxAttempts, baseDelayMs, maxDelayMs }: NonNullable<Settings["reconnect"]>,
  ): Promise<void> {
    let last = first;
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const most = Math.min(maxDelayMs, baseDelayMs * 2 ** attempt);
      await monotonicClock.sleep(most * (0.5 + Math.random() / 2), this.#life.signal);
      if (this.#phase !== "running") return;
      this.#buffer.clear();
      this.#delivery.reset();
      try {
        await this.#open(Lsn.max(this.#applied, this.#begun), true);
        this.#counts.reconnects += 1;
        this.#sendStatus(false);
        return;
      } catch (cause) {
        last = toReplicationError(cause);
        if (!last.isTransient && last.sqlstate !== NOT_LET_IN) break;
      }
    }
    this.#fail(last);
  }

  /** The next event if one is there. Errors of decoding fail the stream. */
  #pull(): ReplicationEvent | undefined {
    try {
      const event = this.#delivery.next(this.#buffer);
      if (event === undefined) return undefined;
      this.#counts.eventsForwarded += 1;
      if (event.kind === "keepalive") this.#advance(event.walEnd);
      return event;
    } catch (cause) {
      const error = toReplicationError(cause);
      this.#session?.destroy(error);
      this.#fail(error);
      return undefined;
    }
  }

  /** A server that shuts down waits for this: unless something is left to acknowledge, for nothing. */
  #advance(walEnd: Lsn): void {
    if (!this.#settings.advanceWhenIdle && !this.#ask.isOne) return;
    if (this.#delivery.isIdleAt(walEnd, this.#applied)) this.updateAppliedLsn(walEnd);
  }

  /**
   * The next event; `null` after a clean end, again and again. Aborting loses nothing: the next call gets the same
   * event. One at a time: a second rejects with kind `state`. Rejects with the stream's error once what arrived before
   * it is taken.
   */
  recv({
    signal,
  }: {
    readonly signal?: AbortSignal | undefined;
  } = {}): Promise<ReplicationEvent | null> {
    if (this.#pulling) {
      return Promise.reject(
        new ReplicationError("state", "another recv is waiting: one at a time"),
      );
    }
    if (signal?.aborted) return Promise.reject(aborted(signal));
    const event = this.#pull();
    if (event !== undefined) return Promise.resolve(event);
    this.#pulling = true;
    return this.#next(signal).finally(() => {
      this.#pulling = false;
    });
  }

  async #next(signal: AbortSignal | undefined): Promise<ReplicationEvent | null> {
    for (;;) {
      const event = this.#pull();
      if (event !== undefined) return event;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#phase === "ended") return null;
      const ending = this.#phase === "stopping" || this.#serverEnded || this.#delivery.finished;
      if (ending && !(this.#patient && this.#delivery.holds)) await this.#end(END_LIMIT_MS);
      else await this.#doorbell.wait(signal);
    }
  }

  /** Hands every event to `handler`, one after the other, until the end; a promise it returns is waited for. */
  async consume(handler: (event: ReplicationEvent) => void | Promise<void>): Promise<void> {
    for (;;) {
      const event = this.#pull() ?? (await this.recv());
      if (event === null) return;
      const done = handler(event);
      if (done !== undefined) await done;
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<ReplicationEvent> {
    return iterate(() => (this.#pulling ? undefined : this.#pull()), this);
  }

  /**
   * All WAL up to `lsn` is durable at the consumer; call it with a commit's `endLsn`. Older or equal: nothing happens.
   * Throws RangeError beyond anything received.
   */
  updateAppliedLsn(lsn: Lsn): void {
    if (lsn <= this.#applied) return;
    if (lsn > this.#received.lsn) {
      const upTo = Lsn.format(this.#received.lsn);
      throw new RangeError(`${Lsn.format(lsn)} cannot be applied: received up to ${upTo}`);
    }
    this.#applied = lsn;
  }

  /**
   * Sends a status update now, or once a reconnect is over; resolves when it is on the socket. Rejects with the
   * stream's error, or with kind `state` when the stream ends before it is connected again.
   */
  async flushFeedback(): Promise<void> {
    let over: Promise<void> | undefined;
    while (over !== this.#reconnecting) {
      over = this.#reconnecting;
      await over;
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#session === undefined)
      throw new ReplicationError("state", "the stream ended while it was not connected");
    this.#sendStatus(false);
    await this.#session.flushed();
  }

  #sendStatus(replyRequested: boolean): void {
    if (this.#session === undefined) return;
    this.#counts.feedbackSent += 1;
    this.#session.sendStatus(this.#status(replyRequested));
  }

  /** Before the first acknowledgement 0/0, which leaves the slot where it is. */
  #status(replyRequested: boolean): Status {
    const applied = this.#applied;
    const written = this.#received.lsn;
    return { written, flushed: applied, applied, nowMicros: wallMicros(), replyRequested };
  }

  /** Graceful, idempotent: no new WAL is taken; buffered events are still yielded, then `null`. */
  stop(): void {
    if (this.#phase !== "running") return;
    this.#phase = "stopping";
    void this.#losePatience();
    this.#doorbell.ring();
  }

  /** What the standbys do not confirm soon is not waited for: it comes again. */
  async #losePatience(): Promise<void> {
    await monotonicClock.sleep(PATIENCE_MS, this.#life.signal);
    this.#patient = false;
    this.#doorbell.ring();
  }

  /** `stop`, without what is still buffered, and the clean end. Rejects with the stream's error, if any. */
  async shutdown(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const { timeoutMs = END_LIMIT_MS } = options;
    this.stop();
    if (this.#failure !== undefined) throw this.#failure;
    this.#delivery.reset();
    this.#buffer.clear();
    await this.#end(timeoutMs);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #end(limitMs: number): Promise<void> {
    this.#ending ??= this.#endOnce(limitMs);
    return this.#ending;
  }

  async #endOnce(limitMs: number): Promise<void> {
    this.stop();
    this.#counts.feedbackSent += 1;
    await this.#session?.end(this.#status(false), limitMs).catch((cause: unknown) => {
      this.#fail(toReplicationError(cause));
    });
    if (this.#phase !== "failed") this.#phase = "ended";
    this.#rest(undefined);
  }

  #rest(reason: unknown): void {
    this.#life.abort(reason);
    this.#doorbell.ring();
  }

  /** Closes the socket now; a pending `recv` rejects with kind `aborted`. */
  abort(reason?: unknown): void {
    if (this.#phase === "ended" || this.#phase === "failed") return;
    const why = reason instanceof Error ? reason.message : String(reason ?? "by the caller");
    const error = new ReplicationError("aborted", `the stream was aborted: ${why}`, {
      cause: reason,
    });
    this.#session?.destroy(error);
    this.#buffer.clear();
    this.#delivery.reset();
    this.#fail(error);
  }

  get isRunning(): boolean {
    return this.#phase === "running";
  }
  /** Of the stream's last server: kept with a checkpoint, it is the next one's `startTimeline`. */
  get timeline(): number | undefined {
    return this.#history?.timeline;
  }
  get lastReceivedLsn(): Lsn {
    return this.#received.lsn;
  }
  get lastAppliedLsn(): Lsn {
    return this.#applied;
  }

  metrics(): ReplicationMetrics {
    const { stallCount, stallMicrosTotal } = this.#buffer;
    return {
      ...this.#counts,
      rowsDecoded: this.#delivery.rowsDecoded,
      stallCount,
      stallMicrosTotal,
      lastAppliedLsn: this.#applied,
      lastWalEnd: this.#received.lsn,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
