/**
 * Every worker remembers failovers that silence caused, so that whoever leads next knows which nodes are held down
 * (H47). What it knows stands in a file as well, for the worker after it.
 *
 * No wall clock takes part: the file counts from the start of the machine. Where the system does not tell, a worker
 * that starts knows nothing.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../clock/clock.ts";
import { agoMs, parseSilences, silencesText } from "../config/kept-silences.ts";
import type { Config } from "../config/schema.ts";
import type { ClusterView } from "../db/cluster.ts";
import type { Hints } from "../db/hints.ts";
import type { Log } from "../log/logger.ts";
import { exists, writeDurable } from "../postgres/files.ts";
import type { Owner } from "../postgres/owner.ts";
import type { Flaps, PrimaryWatch } from "./watch.ts";

/** A notification may be lost. */
const LOOK_MS = 20_000;

type Place = Pick<Config, "dir" | "clusterId">;

function pathOf({ dir }: Place): string {
  return join(dir, "silences.json");
}

/** Before anybody looks: what the worker before this one knew. A file that says nothing is none. */
export async function recallFlaps(config: Place, flaps: Flaps, clock: Clock): Promise<void> {
  const path = pathOf(config);
  if (clock.sinceBootMs === undefined || !(await exists(path))) return;
  const kept = parseSilences(await readFile(path, "utf8"));
  if (kept?.cluster_id !== config.clusterId) return;
  const up = clock.sinceBootMs();
  const nodes = kept.nodes.map(
    ({ node_id, count, boot_ms }) => [node_id, { count, sinceMs: agoMs(boot_ms, up) }] as const,
  );
  flaps.recall({ newest: kept.newest, flaps: new Map(nodes) }, clock.now());
}

interface RememberOptions {
  readonly watch: PrimaryWatch;
  readonly config: Place;
  readonly owner: Owner | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly readView: () => Promise<ClusterView>;
  readonly hints: Hints;
  readonly signal: AbortSignal;
}

/** Runs for the worker's life. A store that does not answer has applied nothing new either. */
export async function rememberFlaps(o: RememberOptions): Promise<void> {
  const { flaps } = o.watch;
  let kept = flaps.counted;
  while (!o.signal.aborted) {
    const view = await o.readView().catch(() => undefined);
    if (view !== undefined) flaps.note(view.epochs, o.clock.now());
    const { counted } = flaps;
    if (counted !== kept && (await keep(o))) kept = counted;
    await o.hints.within(LOOK_MS, o.signal);
  }
}

/** False when it could not be written; the next look tries again. */
async function keep({ watch, config, owner, clock, log }: RememberOptions): Promise<boolean> {
  if (clock.sinceBootMs === undefined) return true;
  const [now, up] = [clock.now(), clock.sinceBootMs()];
  const nodes = [...watch.flaps.facts(now)].map(([node_id, { count, sinceMs }]) => {
    return { node_id, count, boot_ms: Math.max(0, up - sinceMs) };
  });
  const text = silencesText({ cluster_id: config.clusterId, newest: watch.flaps.newest, nodes });
  try {
    await writeDurable(pathOf(config), text, { owner });
    return true;
  } catch (error) {
    // The volume is full, or gone.
    log.debug({ event: "worker.not_kept" }, `what silence has cost was not written down: ${error}`);
    return false;
  }
}
