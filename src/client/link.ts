/** One connection of pg: dialled and encrypted by us, watched for the signs that matter, cancelled on the server. */
import type { Socket } from "node:net";
import pg from "pg";
import { type Clock, monotonicClock } from "../clock/clock.ts";
import { openSocket } from "../replication/socket.ts";
import { planTls } from "../replication/tls.ts";
import { Extended, type Outcome, type Prepared, type Statement } from "./extended.ts";
import type { HostPort, Settings } from "./options.ts";

/** What pg.Client has and its types leave out. */
interface Inside {
  connection: {
    stream: Socket;
    parsedStatements: Record<string, string>;
    on(event: string, heard: (message: never) => void): void;
    close(statement: { readonly type: "S"; readonly name: string }): void;
  };
  readonly readyForQuery: boolean;
  readonly processID: number | null;
  readonly secretKey: number | null;
}

export type Login = Pick<
  Settings,
  | "user"
  | "password"
  | "database"
  | "tls"
  | "applicationName"
  | "connectTimeoutMs"
  | "statementTimeoutMs"
  | "preparedStatements"
>;

/** Statements prepared on one connection at a time. */
const PREPARED = 256;
const CANCEL_LIMIT_MS = 1000;

/** A connected socket, encrypted as asked for. */
async function dial(at: HostPort, login: Login, signal: AbortSignal): Promise<Socket> {
  const tls = await planTls(login.tls, at.host);
  return await openSocket({ ...at, tls }, signal);
}

/** Limits `work` by time: it is given a signal, and the timer goes with its end. */
export async function limited<T>(
  clock: Clock,
  { what, ms }: { readonly what: string; readonly ms: number },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const over = new AbortController();
  clock.sleep(ms, over.signal).then(() => {
    if (!over.signal.aborted) limit.abort(new Error(`${what}: not within ${ms} ms`));
  });
  const late = new Promise<never>((_, reject) => {
    limit.signal.addEventListener("abort", () => reject(limit.signal.reason), { once: true });
  });
  try {
    return await Promise.race([work(limit.signal), late]);
  } finally {
    over.abort(null);
  }
}

/** What pg.Pool and pg.Client take: nothing of the environment, and no timer of pg's own for each checkout. */
export function linkConfig(at: HostPort, login: Login): pg.ClientConfig {
  return {
    host: at.host,
    port: at.port,
    user: login.user,
    database: login.database,
    ssl: false, // our own socket is encrypted already
    enableChannelBinding: login.tls.mode !== "disable",
    application_name: login.applicationName,
    // The notice of a cancelled wait for the standbys must arrive, and dates be readable.
    options: "-c client_min_messages=notice -c DateStyle=ISO",
    ...(login.password === undefined ? { password: "" } : { password: login.password }),
    ...(login.statementTimeoutMs === undefined
      ? {}
      : { statement_timeout: login.statementTimeoutMs }),
  };
}

export class Link extends pg.Client {
  readonly at: HostPort;
  readonly #login: Login;
  /** Settings the server reports by itself; none from an old one. */
  readonly #reported = new Map<string, string>();
  /** Text → its prepared statement, oldest use first. */
  readonly #prepared = new Map<string, Prepared>();
  #count = 0;
  /** As the session began. */
  #startsReadOnly: boolean | undefined;
  #readOnly = false;
  /** It broke, or was destroyed: nothing more will come. */
  lost = false;
  /** A commit did not wait for its standbys, since this was last set to false: when it was handed out. */
  waitCancelled = false;
  lastUsed = 0;
  readonly #destroyed = new AbortController();

  constructor(at: HostPort, login: Login, config = linkConfig(at, login)) {
    super(config);
    this.at = at;
    this.#login = login;
    this.on("error", () => {
      this.lost = true;
    });
    this.on("end", () => {
      this.lost = true;
    });
    this.on("notice", ({ routine }) => {
      this.waitCancelled ||= routine === "SyncRepWaitForLSN"; // words are translated, this is not
    });
    this.#inside.connection.on("parameterStatus", (message: never) => {
      const { parameterName, parameterValue } = message as Record<string, string>;
      this.#report(String(parameterName), String(parameterValue));
    });
  }

  get #inside(): Inside {
    return this as unknown as Inside;
  }

  #report(name: string, value: string): void {
    this.#reported.set(name, value);
    if (name !== "default_transaction_read_only") return;
    this.#readOnly = value === "on";
    this.#startsReadOnly ??= this.#readOnly;
  }

  /** As the server said last; undefined before PostgreSQL 14. */
  get inRecovery(): boolean | undefined {
    const value = this.#reported.get("in_hot_standby");
    return value === undefined ? undefined : value === "on";
  }

  /** This session cannot write unless it says so itself: set for the role, the database or the server. */
  get startsReadOnly(): boolean {
    return this.#startsReadOnly ?? false;
  }

  /** Throws once it is lost: what is not sent any more certainly has no effect. */
  check(): void {
    if (this.lost) throw new Error(`the connection to ${this.at.host}:${this.at.port} was lost`);
  }

  /** Something that has no effect of its own: its connection goes, if it must, as soon as nobody waits for it. */
  async droppedAt<T>(stop: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    stop?.throwIfAborted();
    this.check();
    const drop = () => this.destroy();
    stop?.addEventListener("abort", drop, { once: true });
    try {
      return await work();
    } finally {
      stop?.removeEventListener("abort", drop);
    }
  }

  /** Nothing of a transaction stays behind; to be asked when it is ready. */
  get isInNoTransaction(): boolean {
    return this.getTransactionStatus() === "I";
  }

  /** Once all is answered, or it is lost: after an error the server says later how the transaction stands. */
  whenReady(then: () => void): void {
    if (this.lost || this.#inside.readyForQuery) {
      then();
      return;
    }
    const once = () => {
      this.off("drain", once).off("end", once);
      then();
    };
    this.on("drain", once).on("end", once);
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as pg's types have it
  override connect(): Promise<pg.Client & void>;
  override connect(callback: (err: Error) => void): void;
  override connect(callback?: (err: Error) => void): unknown {
    if (callback === undefined) {
      return new Promise<void>((resolve, reject) => {
        this.connect((error: Error | null) => (error ? reject(error) : resolve()));
      });
    }
    const told = callback as (error: Error | null) => void;
    this.open().then(() => told(null), told);
    return undefined;
  }

  /** Dialled and logged in; `destroy` ends either. */
  open(): Promise<void> {
    const { connectTimeoutMs: ms } = this.#login;
    const what = `connecting to ${this.at.host}:${this.at.port}`;
    return limited(monotonicClock, { what, ms }, (limit) =>
      this.#open(AbortSignal.any([limit, this.#destroyed.signal])),
    );
  }

  async #open(signal: AbortSignal): Promise<void> {
    const socket = await dial(this.at, this.#login, signal);
    signal.addEventListener("abort", () => socket.destroy(), { once: true });
    if (signal.aborted) socket.destroy();
    // pg wants to dial by itself: it is handed a socket that says it has just connected.
    const connect = () => {
      process.nextTick(() => socket.emit("connect"));
      return socket;
    };
    this.#inside.connection.stream = Object.assign(socket, { connect }) as Socket;
    await new Promise<void>((resolve, reject) => {
      super.connect((error: Error | null) => (error ? reject(error) : resolve()));
    });
  }

  get isReadOnly(): boolean {
    return this.#readOnly;
  }

  /** Transactions of this session are read-only from now on, or again as they were at its begin. */
  async setReadOnly(wanted: boolean, stop: AbortSignal | undefined): Promise<void> {
    const target = wanted || this.startsReadOnly;
    if (target === this.#readOnly) return;
    const name = "default_transaction_read_only";
    const text = wanted ? `set ${name} = on` : `reset ${name}`;
    await this.droppedAt(stop, () => this.query(text));
    this.#readOnly = target;
  }

  /** One statement, prepared under a name where that is wanted. */
  run(statement: Statement): Promise<Outcome> {
    const prepared = this.#login.preparedStatements ? this.#preparedFor(statement.text) : undefined;
    return new Promise((resolve, reject) => {
      const settle = (error: unknown, outcome?: Outcome) =>
        outcome === undefined ? reject(error) : resolve(outcome);
      this.query(new Extended(statement, prepared, settle) as pg.Submittable);
    });
  }

  #preparedFor(text: string): Prepared {
    const known = this.#prepared.get(text);
    if (known !== undefined) {
      this.#prepared.delete(text);
      this.#prepared.set(text, known);
      return known;
    }
    const oldest = this.#prepared.size >= PREPARED ? this.#prepared.keys().next().value : undefined;
    if (oldest !== undefined) this.forget(oldest);
    this.#count += 1;
    const prepared = { name: `pgr_${this.#count}` };
    this.#prepared.set(text, prepared);
    return prepared;
  }

  /** Close the prepared statement; its answer is not waited for. */
  forget(text: string): void {
    const prepared = this.#prepared.get(text);
    if (prepared === undefined) return;
    this.#prepared.delete(text);
    delete this.#inside.connection.parsedStatements[prepared.name];
    this.#inside.connection.close({ type: "S", name: prepared.name });
  }

  /**
   * Ask the server to cancel what runs here. Resolves when the server has closed the asking connection: the signal is
   * delivered. Rejects when that cannot be known: then this connection must not be used again.
   */
  async cancelRunning(): Promise<void> {
    const { processID, secretKey } = this.#inside;
    if (processID === null || secretKey === null)
      throw new Error("the server gave no key to cancel");
    const request = Buffer.alloc(16);
    request.writeInt32BE(16, 0);
    request.writeInt32BE(80877102, 4);
    request.writeInt32BE(processID, 8);
    request.writeInt32BE(secretKey, 12);
    const what = `cancelling at ${this.at.host}:${this.at.port}`;
    await limited(monotonicClock, { what, ms: CANCEL_LIMIT_MS }, async (signal) => {
      const socket = await dial(this.at, this.#login, signal);
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => socket.destroy(), { once: true });
        // A reset is an end like any other: the postmaster closes as soon as it has read the request.
        socket.once("error", () => resolve()).once("close", () => resolve());
        socket.resume().write(request);
      });
    });
  }

  /** Drop it without a farewell: a frozen server would never answer one. */
  destroy(): void {
    this.lost = true;
    this.#destroyed.abort(new Error("it was dropped"));
    this.#inside.connection.stream.destroy();
  }
}
