/** Keeps what is seen of every member going round: often while it matters, else on change or each half second. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import { primaryOf } from "../coordinator/facts.ts";
import type { ClusterView } from "../db/cluster.ts";
import type { Log } from "../log/logger.ts";
import type { Leadership } from "../raft/raft.ts";

export interface GossipOptions {
  readonly leadership: Leadership;
  readonly clock: Clock;
  /** The view last read; undefined before the first. */
  readonly view: () => ClusterView | undefined;
  /** The longest pause now; short while an epoch, a hand-over or the rule waits for members' news. */
  readonly everyMs: () => number;
  readonly onNews: () => void;
  readonly log: Log;
}

/** On change, and while the primary is elsewhere: its news reaches us by gossip alone. */
const CHANGED_MS = 100;
const LOOK_MS = 200;

/** Runs until the term is over. */
export async function keepGossiping(o: GossipOptions): Promise<void> {
  const { leadership, clock } = o;
  const { signal } = leadership;
  let shared = "";
  let last = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const view = o.view();
    const print = view === undefined ? "" : fingerprint(view);
    const away = view !== undefined && primaryOf(view) !== view.node_id;
    const every = Math.min(o.everyMs(), print !== shared || away ? CHANGED_MS : Infinity);
    const pauseMs = Math.min(LOOK_MS, o.everyMs());
    if (view !== undefined && clock.now() - last >= every - pauseMs / 2) {
      last = clock.now();
      shared = print;
      const told = await leadership.gossip().catch((error: unknown) => {
        // The next round tries again; the election decides whether we still lead.
        if (!signal.aborted) o.log.debug({ event: "raft.peer_lost" }, `gossip failed: ${error}`);
        return false;
      });
      if (told) o.onNews();
    }
    await clock.sleep(untilBeat(clock.now(), pauseMs), signal);
  }
}

/** What a reader of status() would notice; counters and clocks left out. */
function fingerprint(view: ClusterView): string {
  return view.observed
    .map((o) =>
      [
        ...[o.node_id, o.role, o.state, o.epoch, o.writable, o.gate_open, o.gone, o.hung],
        ...[o.attached.join(), o.rule_in_force, o.problem, o.raft_role, o.sync_state],
      ].join(" "),
    )
    .join("\n");
}
