/**
 * Clients that read behind the leader's word (R12): one on each node, asking whenever its own store believes that it
 * leads, be it the only one to believe so.
 */
import { SqlError } from "../oracle/twin/sql-error.ts";
import type { Cluster } from "./cluster.ts";
import type { Host } from "./model/host.ts";
import type { Store } from "./model/store.ts";

const REST_MS = [20, 400] as const;
const IDLE_MS = [5, 15] as const;
const LOOK_MS = 1;
const LIMIT_MS = 1500;

export class Readers {
  readonly #cluster: Cluster;
  stopped = false;
  /** Questions that were answered. */
  answered = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  start(): void {
    const { engine, hosts } = this.#cluster;
    for (const host of hosts.values()) {
      const proc = engine.spawn("reader", host.id);
      engine.after(engine.random("readers").between(0, 100), "reader.start", () => {
        engine.as(proc, () => void this.#read(host));
      });
    }
  }

  async #read(host: Host): Promise<void> {
    const { engine } = this.#cluster;
    const random = engine.random("readers");
    while (!this.stopped) {
      // Whoever has just won is asked at once: it knows least.
      const asked = await this.#once(host);
      const [least, most] = asked ? REST_MS : IDLE_MS;
      await engine.sleep(random.between(least, most), "reader.rest");
    }
  }

  /** False when this node does not believe that it leads. */
  async #once(host: Host): Promise<boolean> {
    const { engine, checks } = this.#cluster;
    const { store } = host;
    if (store === undefined || store.proc.dead) return false;
    if (store.acceptor.state.leaderId !== host.id) return false;
    const committed = checks.control.commitIndex();
    const ticket = askedOf(store);
    if (ticket === undefined) return false;
    const began = engine.now;
    while (engine.now - began < LIMIT_MS && !store.proc.dead) {
      const index = store.acceptor.unlogged.reads.index(ticket);
      if (index !== undefined) {
        checks.control.readConfirmed(host.id, Number(index), committed);
        this.answered += 1;
        return true;
      }
      await engine.sleep(LOOK_MS, "reader.look");
    }
    return true;
  }
}

/** A leader that the log has just removed refuses whoever asks it. */
function askedOf(store: Store): bigint | undefined {
  try {
    return store.askRead();
  } catch (error) {
    if (error instanceof SqlError) return undefined;
    throw error;
  }
}
