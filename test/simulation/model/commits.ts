/** Commits of one data server: written, flushed together, and answered once enough standbys hold them. */
import type { DataServer } from "./data-server.ts";
import type { Answer, Session } from "./network.ts";
import type { Rec, StampRow } from "./wal.ts";

interface Waiter {
  readonly record: Rec;
  readonly session: Session | undefined;
  readonly answer: (answer: Answer) => void;
}

export class Commits {
  readonly #server: DataServer;
  /** Records written and not yet flushed; a crash forgets them. */
  #tail: Rec[] = [];
  readonly waiters: Waiter[] = [];
  #flushing = false;

  constructor(server: DataServer) {
    this.#server = server;
  }

  /** The server ends: nobody is answered any more, and what was not flushed never was. */
  abandon(): void {
    this.#tail = [];
    this.waiters.length = 0;
  }

  /** Its session ends: nobody hears the answer, and everybody may see the row (H06). */
  publishOf(session: Session): void {
    const others = this.waiters.filter((waiter) => waiter.session !== session);
    this.waiters.splice(0, this.waiters.length, ...others);
  }

  /** A wait that is cancelled ends with success and a warning, and nothing more was promised (H06). */
  cancelWaits(): void {
    for (const waiter of this.waiters.splice(0)) {
      waiter.answer([{ warning: "canceling wait for synchronous replication" }]);
    }
  }

  /** Write and flush one record; with `wait`, answer once enough standbys hold it. */
  commit(
    session: Session | undefined,
    more: { readonly kind: Rec["kind"]; readonly key?: string; readonly stamp?: StampRow },
    wait: boolean,
    answer: (answer: Answer) => void,
  ): void {
    const record = this.#server.data.append(more.kind, this.#ms(60, 240), more, this.#tail);
    this.#flushSoon(() => {
      if (!wait || !this.#server.syncDefined) {
        if (wait && more.key !== undefined)
          this.#server.world.checks.acknowledged(this.#server, record);
        answer([]);
        return;
      }
      this.waiters.push({ record, session, answer });
      this.#server.senders.evaluate();
    });
  }

  #flushed: (() => void)[] = [];

  #flushSoon(then: () => void): void {
    this.#flushed.push(then);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#server.world.engine.after(
      this.#ms(0.15, 1.2) * this.#server.world.checks.plan.slowDisk,
      "server.flush",
      () => {
        this.#flushing = false;
        this.flushAll();
        for (const one of this.#flushed.splice(0)) one();
        this.#server.senders.push();
      },
      this.#server.work,
    );
  }

  flushAll(): void {
    this.#server.data.wal.push(...this.#tail.splice(0));
    this.#server.replayed = this.#server.data.wal.length;
  }

  /** Waiters up to here have enough standbys. */
  release(upTo: number): void {
    for (let at = 0; at < this.waiters.length; ) {
      const waiter = this.waiters[at] as Waiter;
      if (waiter.record.end > upTo) {
        at += 1;
        continue;
      }
      this.waiters.splice(at, 1);
      if (waiter.record.key !== undefined)
        this.#server.world.checks.acknowledged(this.#server, waiter.record);
      waiter.answer([]);
    }
  }

  checkpoint(done: () => void): void {
    this.#server.checkpointing = true;
    this.#server.world.engine.after(
      this.#ms(5, 120),
      "server.checkpoint",
      () => {
        this.#server.checkpointing = false;
        if (!this.#server.inRecovery) {
          this.flushAll();
          this.#server.data.append("checkpoint", 120);
          this.#server.replayed = this.#server.data.wal.length;
          this.#server.data.timeline = this.#server.timeline();
          this.#server.data.checkpointLsn = this.#server.data.end();
          this.#server.senders.push();
        }
        done();
      },
      this.#server.work,
    );
  }

  #ms(low: number, high: number): number {
    return this.#server.world.engine.random("disk").between(low, high);
  }
}
