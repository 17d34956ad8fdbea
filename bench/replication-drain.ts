/**
 * One drain of one slot by one contestant, in a process of its own: started by bench/replication.ts with the task as
 * JSON in its argument; prints a `Drained` as JSON.
 */
import { ReplicationClient } from "../src/logical/index.ts";

export type Contestant = "ours" | "ours, for await" | "ours, raw" | "rival";

export interface Task {
  readonly contestant: Contestant;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly slot: string;
  /** Row events that end it. */
  readonly rows: number;
}

export interface Drained {
  /** From the first message to the last row. */
  readonly ms: number;
  readonly cpuMs: number;
  readonly rows: number;
  readonly peakMb: number;
  /** Resident memory after each tenth of the rows. */
  readonly residentMb: readonly number[];
}

/** Of XLogData the message's own type: rows are I, U and D. */
const ROWS = new Set([..."IUD"].map((letter) => letter.charCodeAt(0)));

class Meter {
  readonly #wanted: number;
  #began: { readonly at: number; readonly cpu: NodeJS.CpuUsage } | undefined;
  readonly #residentMb: number[] = [];
  rows = 0;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  begin(): void {
    this.#began ??= { at: performance.now(), cpu: process.cpuUsage() };
  }

  /** One more row; the last one ends the program. */
  row(): void {
    this.rows += 1;
    if (this.rows % Math.ceil(this.#wanted / 10) === 0) this.#look();
    if (this.rows === this.#wanted) this.#report();
  }

  #look(): void {
    this.#residentMb.push(Math.round(process.memoryUsage.rss() / 2 ** 20));
  }

  #report(): void {
    if (this.#began === undefined) throw new Error("nothing came");
    const { user, system } = process.cpuUsage(this.#began.cpu);
    const drained: Drained = {
      ms: performance.now() - this.#began.at,
      cpuMs: (user + system) / 1000,
      rows: this.rows,
      peakMb: Math.max(...this.#residentMb),
      residentMb: this.#residentMb,
    };
    process.stdout.write(JSON.stringify(drained), () => process.exit(0));
  }
}

const configOf = ({ host, port, user, slot }: Task) => {
  return { host, port, user, slot, publication: "p", unconfirmed: "deliver" } as const;
};

async function drainByCallback(task: Task): Promise<void> {
  const meter = new Meter(task.rows);
  const client = await ReplicationClient.connect(configOf(task));
  await client.consume(({ kind }) => {
    meter.begin();
    if (kind === "insert" || kind === "update" || kind === "delete") meter.row();
  });
}

async function drainByLoop(task: Task): Promise<void> {
  const meter = new Meter(task.rows);
  for await (const { kind } of await ReplicationClient.connect(configOf(task))) {
    meter.begin();
    if (kind === "insert" || kind === "update" || kind === "delete") meter.row();
  }
}

async function drainRaw(task: Task): Promise<void> {
  const meter = new Meter(task.rows);
  const client = await ReplicationClient.connect({ ...configOf(task), decode: "raw" });
  await client.consume((event) => {
    meter.begin();
    if (event.kind === "xlogData" && ROWS.has(event.data[0] ?? 0)) meter.row();
  });
}

/** What is used of the package pg-logical-replication, which may not be installed. */
interface Rival {
  readonly LogicalReplicationService: new (
    connection: object,
    config: object,
  ) => {
    on(event: "data", handler: (lsn: string, message: { readonly tag: string }) => void): void;
    on(event: "error", handler: (error: Error) => void): void;
    subscribe(plugin: unknown, slot: string): Promise<unknown>;
    stop(): Promise<unknown>;
  };
  readonly PgoutputPlugin: new (options: object) => unknown;
}

async function drainRival({ host, port, user, slot, rows }: Task): Promise<void> {
  const name: string = "pg-logical-replication";
  const { LogicalReplicationService, PgoutputPlugin } = (await import(name)) as Rival;
  const meter = new Meter(rows);
  const service = new LogicalReplicationService(
    { host, port, user, database: "postgres" },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  const failed = Promise.withResolvers<void>();
  service.on("error", failed.reject);
  service.on("data", (_, { tag }) => {
    meter.begin();
    if (tag === "insert" || tag === "update" || tag === "delete") meter.row();
  });
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ["p"] });
  await Promise.race([failed.promise, service.subscribe(plugin, slot)]);
}

const HOW: Readonly<Record<Contestant, (task: Task) => Promise<void>>> = {
  ours: drainByCallback,
  "ours, for await": drainByLoop,
  "ours, raw": drainRaw,
  rival: drainRival,
};

const task = JSON.parse(process.argv[2] ?? "{}") as Task;
await HOW[task.contestant](task);
throw new Error(`the stream of ${task.contestant} ended too early`);
