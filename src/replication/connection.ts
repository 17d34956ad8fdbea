/** One session with a server: messages both ways, simple queries, and copies out of the server. */
import type { Socket } from "node:net";
import type { Clock } from "../clock/clock.ts";
import { ConnectionLost, ProtocolError, ServerError, type ServerMessage } from "./errors.ts";
import { Inbox } from "./inbox.ts";
import { login } from "./login.ts";
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

/**
 * Connect and log in.
 *
 * Throws ConnectionLost (not reachable, or not within the limit), ServerError (refused; SQLSTATE
 * 28P01 is a wrong password), LoginError (asked for a method we do not do), or the signal's reason.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { clock, signal, connectLimitMs = CONNECT_LIMIT_MS } = options;
  const limit = new AbortController();
  const done = new AbortController();
  const late = `no login at ${describe(options)} within ${connectLimitMs} ms`;
  void clock.sleep(connectLimitMs, done.signal).then(() => {
    if (!done.signal.aborted) limit.abort(new ConnectionLost("silent", late));
  });
  const either = signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal]);
  try {
    const connection = new Connection(await openSocket(options, either), options);
    const stop = () => connection.destroy(either.reason);
    either.addEventListener("abort", stop, { once: true });
    if (either.aborted) stop();
    await login(connection, options).catch((error: unknown) => {
      connection.destroy(error);
      throw error;
    });
    either.removeEventListener("abort", stop);
    return connection;
  } finally {
    done.abort();
  }
}

export class Connection {
  /** What the server reported about itself: `server_version`, `TimeZone`, … */
  readonly parameters = new Map<string, string>();
  /** The backend's process id, 0 until the login is over. */
  backendPid = 0;
  readonly peer: string;
  readonly #socket: Socket;
  readonly #inbox: Inbox;
  readonly #parser = new wire.MessageParser();
  readonly #onNotice: ((notice: ServerMessage) => void) | undefined;
  #exchange: string | undefined;

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
      .on("error", (error) => this.#inbox.fail(lost(error.message, error)))
      .on("close", () => {
        signal?.removeEventListener("abort", onAbort);
        this.#inbox.fail(lost("the server closed it"));
      });
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
  }

  /** The server's major version, 17 for 17.10. */
  get majorVersion(): number {
    return Number.parseInt(this.parameters.get("server_version") ?? "", 10);
  }

  #read(chunk: Buffer): void {
    try {
      for (const message of this.#parser.push(chunk)) this.#deliver(message);
    } catch (error) {
      // We lost step with the server: nothing that follows can be understood.
      this.destroy(error);
    }
  }

  #deliver(message: wire.BackendMessage): void {
    if (message.kind === "notice") this.#onNotice?.(message.notice);
    else if (message.kind === "parameterStatus") this.parameters.set(message.name, message.value);
    else if (message.kind !== "notification") this.#inbox.put(message);
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
    this.#inbox.abandon(new ConnectionLost("ended_by_us", `connection to ${this.peer} closed`));
    this.#socket.setTimeout(CLOSE_LIMIT_MS, () => this.#socket.destroy());
    this.#socket.end(wire.terminate());
    this.#socket.resume();
    await closed;
  }

  /** Cut the connection at once; whatever waits rejects with `reason`. */
  destroy(reason: unknown): void {
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
      if (message.kind === "copyStart" && message.direction === "out") {
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
