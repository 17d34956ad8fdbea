/**
 * Clients: one writer that tries every node's own data server (W6), so that a second primary would show itself
 * at once; and one on each node that puts keys into the log, as long as that node leads.
 */
import { Client, DatabaseError } from "./adapters/pg.ts";
import type { Cluster } from "./cluster.ts";
import type { Host } from "./model/host.ts";

export interface WorkloadOptions {
  readonly everyMs: number;
  readonly readEvery: number;
}

const KEPT = [
  ["kept_proposals", "20"],
  ["kept_events", "10"],
] as const;

export class Workload {
  readonly #cluster: Cluster;
  readonly #options: WorkloadOptions;
  stopped = false;
  readonly counts = { ok: 0, failed: 0, unknown: 0 };

  constructor(cluster: Cluster, options: WorkloadOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  start(): void {
    const { engine } = this.#cluster;
    for (const host of this.#cluster.hosts.values()) {
      const proc = engine.spawn("client", host.id);
      engine.after(engine.random("workload").between(0, 100), "client.start", () => {
        engine.as(proc, () => void this.#write(host.id));
        engine.as(proc, () => void this.#putKeys(host));
      });
    }
  }

  async #putKeys(host: Host): Promise<void> {
    const { engine } = this.#cluster;
    const random = engine.random("log");
    while (!this.stopped) {
      await engine.sleep(random.between(100, 400), "client.rest");
      const { id, store } = host;
      if (store?.proc.dead !== false || store.acceptor.state.leaderId !== id) continue;
      // Little is kept: forgetting is met by every fault.
      for (const [name, value] of KEPT) {
        if (store.acceptor.cluster.settings.get(name) === value) continue;
        store.handIn(store.uuid(), "set", { name, value, by: "op", at: store.displayTime() });
      }
      const key = String(random.below(4));
      store.handIn(store.uuid(), "kv_set", {
        key,
        value: `${engine.now}`,
        at: store.displayTime(),
      });
    }
  }

  async #write(node: number): Promise<void> {
    const { engine } = this.#cluster;
    const random = engine.random("workload");
    let sequence = 0;
    while (!this.stopped) {
      const client = new Client({
        host: `10.0.0.${node}`,
        port: this.#cluster.host(node).config.data?.port ?? 0,
        user: "app",
        application_name: "writer",
        connectionTimeoutMillis: 1000,
        query_timeout: 2500,
      });
      let lost = false;
      client.on("error", () => {
        lost = true;
      });
      try {
        await client.connect();
        while (!this.stopped && !lost) {
          sequence += 1;
          const wait = await this.#once(client, `n${node}:${sequence}`, sequence);
          await engine.sleep(wait * random.between(0.5, 1.5), "client.rest");
        }
      } catch (error) {
        if (!(error instanceof DatabaseError)) this.counts.unknown += 1;
        await engine.sleep(random.between(100, 300), "client.retry");
      } finally {
        void client.end();
      }
    }
  }

  /** How long to rest afterwards; throws when the connection is of no more use. */
  async #once(client: Client, key: string, sequence: number): Promise<number> {
    const { everyMs, readEvery } = this.#options;
    try {
      await client.query({ text: "insert key", values: [key] });
      this.counts.ok += 1;
      if (sequence % readEvery === 0) await client.query({ text: "read keys" });
      return everyMs;
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== "25006") throw error;
      this.counts.failed += 1;
      return 200;
    }
  }
}
