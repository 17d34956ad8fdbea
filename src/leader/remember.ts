/** Every worker remembers failovers that silence caused: whoever leads next knows which nodes are held down (H47). */
import type { Clock } from "../clock/clock.ts";
import type { ClusterView } from "../db/cluster.ts";
import type { Hints } from "../db/hints.ts";
import type { PrimaryWatch } from "./watch.ts";

/** A notification may be lost. */
const LOOK_MS = 20_000;

/** Runs for the worker's life. A store that does not answer has applied nothing new either. */
export async function rememberFlaps(o: {
  readonly watch: PrimaryWatch;
  readonly clock: Clock;
  readonly readView: () => Promise<ClusterView>;
  readonly hints: Hints;
  readonly signal: AbortSignal;
}): Promise<void> {
  while (!o.signal.aborted) {
    const view = await o.readView().catch(() => undefined);
    if (view !== undefined) o.watch.flaps.note(view.epochs, o.clock.now());
    await o.hints.within(LOOK_MS, o.signal);
  }
}
