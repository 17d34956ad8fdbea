/**
 * A server that shuts down asks its streams to confirm its very end, and asks again as soon as it is answered, for as
 * long as they do not (WalSndDone in PostgreSQL's walsender.c). Else it asks at most twice in a wal_sender_timeout.
 */
import { monotonicClock } from "../clock/clock.ts";
import type { Lsn } from "./lsn.ts";

/** So often in a row, for the same position, and each so soon: nothing but a shutdown is left. */
const TIMES = 4;
const SOON_MS = 100;
/** From then on each answer waits so long: it asks as fast as it is answered. */
const REST_MS = 25;

export class ShutdownAsk {
  #lsn: Lsn | undefined;
  #at = Number.NEGATIVE_INFINITY;
  #times = 0;

  /** It asks, having sent up to `lsn`: `send` the answer at once, or after a rest that `signal` may end. */
  answer(lsn: Lsn, signal: AbortSignal, send: () => void): void {
    const now = monotonicClock.now();
    const again = lsn === this.#lsn && now - this.#at < SOON_MS;
    this.#times = again ? this.#times + 1 : 1;
    this.#lsn = lsn;
    this.#at = now;
    if (!this.isOne) send();
    else void monotonicClock.sleep(REST_MS, signal).then(() => signal.aborted || send());
  }

  /** The server shuts down. */
  get isOne(): boolean {
    return this.#times >= TIMES;
  }
}
