/** One session with a server: messages both ways, simple queries, and copies out of the server. */
import type { Socket } from "node:net";
import type { Clock } from "../clock/clock.ts";
import { channelBindingOf } from "./channel-binding.ts";
import { ConnectionLost, ProtocolError, ServerError, type ServerMessage } from "./errors.ts";
import { FrameSplitter, MAX_MESSAGE_BYTES } from "./frames.ts";
import { Inbox } from "./inbox.ts";
import { limited } from "./limit.ts";
import { type AuthMethod, type ChannelBinding, login } from "./login.ts";
import { type Address, describe, openSocket } from "./socket.ts";
import * as wire from "./wire.ts";

export interface ConnectOptions extends Address {
  readonly user: string;
  readonly password?: string | undefined;
  /** Default `postgres`; a physical replication session has none. */
  readonly database?: string | undefined;
  /** `physical`: base backups and WAL; `logical`: decoding one database; default: plain SQL. */
  readonly replication?: "physical" | "logical" | undefined;
  readonly applicationName?: string | undefined;
  readonly clock: Clock;
  /** Ends the session at any moment; what waits rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** From the first packet to the end of the login; default 10 s. */
  readonly connectLimitMs?: number | undefined;
  readonly onNotice?: ((notice: ServerMessage) => void) | undefined;
  /** Of SCRAM to the TLS channel; default `prefer`. */
  readonly channelBinding?: ChannelBinding | undefined;
  /** Default: any, but a clear text password only in TLS. */
  readonly requireAuth?: readonly AuthMethod[] | undefined;
  /** Settings of the session, sent in the startup message. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** The longest message that is accepted; default 1 GB. */
  readonly maxMessageBytes?: number | undefined;
}

/** Takes a copy in both directions as it arrives: nothing is kept for it here. */
export interface StreamSink {
  /** One piece of the copy: what stands in `bytes`, which arrived together, from `from` up to `end`. */
  data(bytes: Buffer, from: number, end: number): void;
  /** Any other message: the end of the copy, an error, the end of the statement. */
  message(message: wire.BackendMessage): void;
  /** The connection is gone. */
  lost(error: unknown): void;
}

/** What one statement of a simple query answered; every value as text. */
export interface ResultSet {
  readonly fields: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** The command tag, `SELECT 1`. */
  readonly tag: string;
}

export interface WaitLimit {
  /** The longest silence of the server that is borne; default 30 s. */
  readonly silenceLimitMs?: number;
}

const CONNECT_LIMIT_MS = 10_000;
const SILENCE_LIMIT_MS = 30_000;
const CLOSE_LIMIT_MS = 1_000;
/** Before the login a server has nothing long to say (libpq allows 30,000). */
const LOGIN_MESSAGE_BYTES = 64 * 1024;
const COPY_DATA = 0x64;

/**
 * Connect and log in.
 *
 * Throws ConnectionLost (not reachable, or not within the limit), ServerError (refused; SQLSTATE
 * 28P01 is a wrong password), LoginError (asked for a method we do not do), or the signal's reason.
 */
export function connect(options: ConnectOptions): Promise<Connection> {
  const { clock, signal, connectLimitMs: limitMs = CONNECT_LIMIT_MS } = options;
  const late = `no login at ${describe(options)} within ${limitMs} ms`;
  return limited({ clock, limitMs, signal, late }, async (either) => {
    const connection = new Connection(await openSocket(options, either), options);
    const stop = () => connection.destroy(either.reason);
    either.addEventListener("abort", stop, { once: true });
    if (either.aborted) stop();
    try {
      await login(connection, options);
    } catch (error) {
      connection.destroy(error);
      throw error;
    } finally {
      either.removeEventListener("abort", stop);
    }
    connection.accept(options.maxMessageBytes ?? MAX_MESSAGE_BYTES);
    return connection;
  });
}

export class Connection {
  /** What the server reported about itself: `server_version`, `TimeZone`, … */
  readonly parameters = new Map<string, string>();
  /** The backend's process id, 0 until the login is over. */
  backendPid = 0;
  readonly peer: string;
  readonly #socket: Socket;
  readonly #inbox: Inbox;
  readonly #splitter = new FrameSplitter(LOGIN_MESSAGE_BYTES);
  readonly #onNotice: ((notice: ServerMessage) => void) | undefined;
  #exchange: string | undefined;
  #sink: StreamSink | undefined;
  #streaming = false;

  constructor(socket: Socket, options: ConnectOptions) {
    const { clock, signal, onNotice } = options;
    this.peer = describe(options);
    this.#socket = socket;
    this.#inbox = new Inbox(clock, socket);
    this.#onNotice = onNotice;
    const lost = (why: string, cause?: Error) =>
      new ConnectionLost("closed", `connection to ${this.peer} lost: ${why}`, { cause });
    const onAbort = () => this.destroy(signal?.reason);
    socket
      .on("data", (chunk) => this.#read(chunk))
      .on("error", (error) => this.#fail(lost(error.message, error)))
      .on("close", () => {
        signal?.removeEventListener("abort", onAbort);
        this.#fail(lost("the server closed it"));
      });
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
  }

  /** The server's major version, 17 for 17.10. */
  get majorVersion(): number {
    return Number.parseInt(this.parameters.get("server_version") ?? "", 10);
  }

  /** True when nobody on the way can read along. */
  get encrypted(): boolean {
    return "encrypted" in this.#socket;
  }

  /** The bytes that bind a login to this TLS channel; undefined without one. */
  get channelBinding(): (() => Buffer) | undefined {
    return channelBindingOf(this.#socket);
  }

  /** From now on messages up to this many bytes are accepted. */
  accept(maxMessageBytes: number): void {
    this.#splitter.limitBytes = maxMessageBytes;
  }

  #fail(error: unknown): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.lost(error);
    this.#inbox.fail(error);
  }

  #read(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk, (type, bytes, from, end) => {
        if (this.#streaming && type === COPY_DATA) this.#sink?.data(bytes, from, end);
        else this.#deliver(wire.decode(type, bytes.subarray(from, end)));
      });
    } catch (error) {
      // We lost step with the server: nothing that follows can be understood.
      this.destroy(error);
    }
  }

  #deliver(message: wire.BackendMessage): void {
    if (message.kind === "notice") this.#onNotice?.(message.notice);
    else if (message.kind === "parameterStatus") this.parameters.set(message.name, message.value);
    else if (message.kind === "notification") return;
    else if (this.#streaming) this.#sink?.message(message);
    else {
      // What follows in the same chunk belongs to the stream already.
      this.#streaming = message.kind === "copyStart" && message.direction === "both";
      this.#inbox.put(message);
    }
  }

  /**
   * Run a statement that copies both ways (START_REPLICATION). Resolves when the copy has begun; from then on
   * everything goes to `sink`, and the connection serves nothing else. Throws ServerError, ConnectionLost.
   */
  async stream(sql: string, sink: StreamSink, limit: WaitLimit = {}): Promise<void> {
    this.#sink = sink;
    const copy = await this.copyOut(sql, limit);
    if (!this.#streaming)
      throw this.#broken(`no copy in both directions began: ${copy.results[0]?.tag}`);
  }

  /** Hold reading back, or go on with it; what has been read is delivered all the same. */
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }

  /** Resolves when all that was sent is with the operating system, or the connection is gone. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.write("", () => resolve());
    });
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** The next message but notices, parameters and notifications. For exchanges of one's own. */
  receive(silenceLimitMs: number): Promise<wire.BackendMessage> {
    return this.#inbox.take(silenceLimitMs);
  }

  /** Run one or more statements; one result set each. Throws ServerError, ConnectionLost. */
  async query(sql: string, limit: WaitLimit = {}): Promise<readonly ResultSet[]> {
    const copy = await this.copyOut(sql, limit);
    if (copy.copying) throw this.#broken("a query began a copy");
    return copy.results;
  }

  /**
   * Run a statement that sends result sets, then a copy, then result sets (BASE_BACKUP). Resolves
   * when the copy begins, or at the end when there is none. The session is busy until the copy was
   * read to its end; who wants no more of it destroys the connection.
   */
  async copyOut(sql: string, { silenceLimitMs = SILENCE_LIMIT_MS }: WaitLimit = {}) {
    if (this.#exchange !== undefined) {
      throw new Error(`connection to ${this.peer} is busy with: ${this.#exchange}`);
    }
    this.#exchange = sql;
    this.send(wire.query(sql));
    const copy = new CopyOut(this, silenceLimitMs, () => {
      this.#exchange = undefined;
    });
    await copy.begin();
    return copy;
  }

  #broken(why: string): ProtocolError {
    const error = new ProtocolError(`${this.peer}: ${why}`);
    this.destroy(error);
    return error;
  }

  /** Say goodbye, and wait a moment for the server to have heard it. */
  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = new Promise((resolve) => this.#socket.once("close", resolve));
    this.#sink = undefined;
    this.#inbox.abandon(new ConnectionLost("ended_by_us", `connection to ${this.peer} closed`));
    this.#socket.setTimeout(CLOSE_LIMIT_MS, () => this.#socket.destroy());
    this.#socket.end(wire.terminate());
    this.#socket.resume();
    await closed;
  }

  /** Cut the connection at once; whatever waits rejects with `reason`. */
  destroy(reason: unknown): void {
    this.#fail(reason);
    this.#inbox.abandon(reason);
    this.#socket.destroy();
  }
}

/** A statement under way: what it answered so far, and the bytes it copies to us. */
export class CopyOut {
  readonly results: ResultSet[] = [];
  readonly #connection: Connection;
  readonly #silenceLimitMs: number;
  readonly #ended: () => void;
  #fields: readonly string[] = [];
  #rows: (readonly (string | null)[])[] = [];
  #copying = false;

  constructor(connection: Connection, silenceLimitMs: number, ended: () => void) {
    this.#connection = connection;
    this.#silenceLimitMs = silenceLimitMs;
    this.#ended = ended;
  }

  /** The copy has begun and is not over. */
  get copying(): boolean {
    return this.#copying;
  }

  /** Read up to the beginning of the copy, or to the end of the statement. */
  async begin(): Promise<void> {
    for (;;) {
      const message = await this.#receive();
      if (message.kind === "copyStart" && message.direction !== "in") {
        this.#copying = true;
        return;
      }
      if (message.kind === "readyForQuery") return this.#ended();
      await this.#collect(message);
    }
  }

  /** The next piece of the copy, as the server cut it; undefined after the statement's end. */
  async next(silenceLimitMs = this.#silenceLimitMs): Promise<Uint8Array | undefined> {
    if (!this.#copying) return undefined;
    const message = await this.#connection.receive(silenceLimitMs);
    if (message.kind === "copyData") return message.bytes;
    this.#copying = false;
    if (message.kind !== "copyDone") await this.#collect(message);
    await this.begin();
    return this.#copying ? this.next(silenceLimitMs) : undefined;
  }

  #receive(): Promise<wire.BackendMessage> {
    return this.#connection.receive(this.#silenceLimitMs);
  }

  async #collect(message: wire.BackendMessage): Promise<void> {
    if (message.kind === "rowDescription") this.#fields = message.fields;
    else if (message.kind === "dataRow") this.#rows.push(message.values);
    else if (message.kind === "commandComplete") this.#finishResult(message.tag);
    else if (message.kind === "error") await this.#throw(new ServerError(message.error));
    else if (message.kind !== "emptyQuery") {
      const error = new ProtocolError(`${this.#connection.peer}: unexpected ${message.kind}`);
      this.#connection.destroy(error);
      throw error;
    }
  }

  #finishResult(tag: string): void {
    this.results.push({ fields: this.#fields, rows: this.#rows, tag });
    this.#fields = [];
    this.#rows = [];
  }

  /** After an error the server skips to ReadyForQuery; the session can then be used again. */
  async #throw(error: ServerError): Promise<never> {
    this.#copying = false;
    if (error.endsSession) this.#connection.destroy(error);
    // The server's words matter more than how the session then ended: that shows at the next use.
    else await this.#skipToReady().catch((lost: unknown) => this.#connection.destroy(lost));
    throw error;
  }

  async #skipToReady(): Promise<void> {
    for (;;) {
      const message = await this.#receive();
      if (message.kind === "readyForQuery") return this.#ended();
    }
  }
}
