/**
 * The leader's side of the primary's lease: a nonce is echoed only after a round of heartbeats that began when it had
 * arrived, in this very term, and with no later epoch under way (H31). The round proves that no other leader had been
 * elected before, so nobody can have opened an epoch unknown to this one.
 */
import type { Clock } from "../clock/clock.ts";
import { epochOfNonce } from "../core/lease.ts";
import type { StoreSample } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import type { Replicator } from "./replicator.ts";

export interface GrantOptions {
  readonly replicator: Pick<Replicator, "confirmedSince" | "epochIsSettled">;
  /** Write it into the own store, where the primary finds it. */
  readonly echo: (nonce: bigint) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

export class Grants {
  readonly #options: GrantOptions;
  #sample: StoreSample | undefined;
  /** Seen in the store at `at`, so it arrived before. */
  #asked: { readonly nonce: bigint; readonly at: number } | undefined;
  #echoed = 0n;
  /** No lease can have begun later than this, unless this leader confirmed it itself. */
  #since: number;

  constructor(options: GrantOptions) {
    this.#options = options;
    this.#since = options.clock.now();
  }

  /** At most so long ago the primary's lease was last renewed. */
  sinceMs(): number {
    return this.#options.clock.now() - this.#since;
  }

  /** What the own store holds now. */
  look(sample: StoreSample): void {
    this.#sample = sample;
    const nonce = sample.leaseAsked;
    const fresh = nonce !== 0n && nonce !== this.#echoed && this.#asked === undefined;
    if (fresh) this.#asked = { nonce, at: this.#options.clock.now() };
    this.check();
  }

  /** After every confirmed heartbeat: is the question answered by now? */
  check(): void {
    const { replicator, echo, clock, log } = this.#options;
    const asked = this.#asked;
    if (asked === undefined || this.#sample === undefined) return;
    if (replicator.confirmedSince() < asked.at) return;
    const { epoch, appliedIndex } = this.#sample;
    if (epochOfNonce(asked.nonce) !== epoch) {
      this.#asked = undefined;
      return;
    }
    if (!replicator.epochIsSettled(appliedIndex)) return;
    this.#asked = undefined;
    this.#echoed = asked.nonce;
    this.#since = clock.now();
    echo(asked.nonce).catch((error: unknown) => {
      // The primary asks again.
      log.debug({ event: "control.gone" }, String(error));
    });
  }
}
