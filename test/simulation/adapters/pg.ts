/** `pg` as the product uses it, over simulated connections. */
import { EventEmitter } from "node:events";
import { currentProc, type Handle, type Proc } from "../engine.ts";
import { NetworkError, type Query, type Row, Session } from "../model/network.ts";
import { world } from "../world.ts";

export class DatabaseError extends Error {
  readonly code: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  constructor(code: string, message: string, detail?: string) {
    super(message);
    this.code = code;
    this.detail = detail;
  }
}

interface Config {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly application_name?: string;
  readonly connectionTimeoutMillis?: number;
  readonly query_timeout?: number;
}

type Asked = string | { readonly text: string; readonly values?: readonly unknown[] };
export interface Result {
  readonly rows: readonly Row[];
  readonly rowCount: number;
}

export class Client extends EventEmitter {
  readonly #config: Config;
  readonly #session: Session;
  #tail: Promise<unknown> = Promise.resolve();
  processID: number | null = null;
  readonly node: number;
  readonly proc: Proc;

  constructor(config: Config) {
    super();
    this.#config = config;
    const proc = currentProc();
    if (proc === undefined) throw new Error("a client without a process");
    this.node = proc.node;
    this.proc = proc;
    this.#session = new Session(world().network, proc, {
      host: config.host,
      port: config.port,
      user: config.user,
      applicationName: config.application_name ?? "",
    });
    this.#session.onLost = (error) => {
      this.emit("error", error);
      this.emit("end");
    };
  }

  async connect(): Promise<void> {
    await this.#limited(
      this.#session.connect(),
      this.#config.connectionTimeoutMillis,
      "timeout expired",
    );
    this.processID = 1_000_000 + this.#session.id;
  }

  /** One statement at a time: the others wait here, as in pg. */
  query(asked: Asked, values?: readonly unknown[]): Promise<Result> {
    const query: Query =
      typeof asked === "string"
        ? { text: asked, values: values ?? [] }
        : { text: asked.text, values: asked.values ?? values ?? [] };
    const run = async (): Promise<Result> => {
      const rows = await this.#session.query(query);
      return { rows, rowCount: rows.length };
    };
    const answer = this.#tail.then(run);
    this.#tail = answer.catch(() => undefined);
    return this.#limited(answer, this.#config.query_timeout, "Query read timeout");
  }

  async end(): Promise<void> {
    const open = this.#session.state !== "closed";
    this.#session.close();
    if (open) this.emit("end");
  }

  async #limited<T>(answer: Promise<T>, limitMs: number | undefined, why: string): Promise<T> {
    if (limitMs === undefined || limitMs === 0) return answer;
    let timer: Handle | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = world().engine.after(
        limitMs,
        "client.limit",
        () => reject(new NetworkError(why)),
        currentProc(),
      );
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      timer?.cancel();
    }
  }
}

/** Connections opened when first asked for; each statement takes a free one, or waits for it. */
export class Pool extends EventEmitter {
  readonly #config: Config & { readonly max?: number };
  #idle: Client[] = [];
  #count = 0;
  #queue: ((client: Client) => void)[] = [];

  constructor(config: Config & { readonly max?: number }) {
    super();
    this.#config = config;
  }

  async query(asked: Asked, values?: readonly unknown[]): Promise<Result> {
    const client = await this.#take();
    try {
      return await client.query(asked, values);
    } catch (error) {
      // A statement that failed on the wire leaves a connection nobody can trust.
      if (!(error instanceof DatabaseError)) this.#drop(client);
      throw error;
    } finally {
      this.#give(client);
    }
  }

  async end(): Promise<void> {
    for (const client of this.#idle.splice(0)) await client.end();
  }

  async #take(): Promise<Client> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#count >= (this.#config.max ?? 10)) {
      return new Promise((resolve) => this.#queue.push(resolve));
    }
    this.#count += 1;
    const client = new Client(this.#config);
    client.on("error", (error) => this.emit("error", error));
    client.on("end", () => this.#drop(client));
    try {
      await client.connect();
    } catch (error) {
      this.#count -= 1;
      this.#next();
      throw error;
    }
    return client;
  }

  readonly #dropped = new WeakSet<Client>();

  #drop(client: Client): void {
    if (this.#dropped.has(client)) return;
    this.#dropped.add(client);
    this.#count -= 1;
    this.#idle = this.#idle.filter((one) => one !== client);
    void client.end();
    this.#next();
  }

  /** Whoever waits opens a connection of its own. */
  #next(): void {
    const waiting = this.#queue.shift();
    if (waiting === undefined) return;
    this.#take().then(waiting, () => this.#queue.unshift(waiting));
  }

  #give(client: Client): void {
    if (this.#dropped.has(client)) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) this.#idle.push(client);
    else waiting(client);
  }
}

export default { Client, Pool, DatabaseError };
