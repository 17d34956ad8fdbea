/**
 * The mark of this life on the data volume: what the control store has promised, kept where the store is not.
 *
 * A control volume that is put back to an earlier state looks like a healthy store that has forgotten votes, pledges
 * and entries. The mark shows it: a store behind it is made anew, as another life (H56). Both volumes put back together
 * show only through the peers. A witness has no data volume, and no mark.
 */
import { readFile } from "node:fs/promises";
import type { Clock } from "../clock/clock.ts";
import { type LifeMark, parseLifeMark } from "../config/life-mark.ts";
import type { Config } from "../config/schema.ts";
import type { Queryable } from "../db/call.ts";
import { type Promises, promisesOf } from "../db/control-setup.ts";
import type { Hints } from "../db/hints.ts";
import type { Log } from "../log/logger.ts";
import { exists, removeTree, writeDurable } from "../postgres/files.ts";
import type { Owner } from "../postgres/owner.ts";

type Place = Pick<Config, "data">;

function pathOf({ data }: Place): string | undefined {
  return data === undefined ? undefined : `${data.dir}.mark`;
}

/** Undefined when there is none, or none that can be read: then it says nothing. */
export async function readMark(config: Place): Promise<LifeMark | undefined> {
  const path = pathOf(config);
  if (path === undefined || !(await exists(path))) return undefined;
  return parseLifeMark(await readFile(path, "utf8"));
}

export async function removeMark(config: Place): Promise<void> {
  const path = pathOf(config);
  if (path !== undefined) await removeTree(path);
}

/** Why a store with these promises is not what it was, or undefined when it may be. Pure. */
export function behindMark(
  incarnation: string,
  store: Promises,
  mark: LifeMark | undefined,
): string | undefined {
  if (mark === undefined) return undefined;
  if (mark.incarnation !== incarnation) {
    return `it is incarnation ${incarnation}, and ${mark.incarnation} was here last`;
  }
  for (const what of ["term", "pledge", "commit"] as const) {
    if (store[what] >= mark[what]) continue;
    return `its ${what} is ${store[what]}, and was ${mark[what]} before: it is an older copy`;
  }
  return undefined;
}

/** Commits alone are noted this seldom. */
const COMMITS_MS = 5000;

/** Keeps the mark at what the store has promised, until the signal aborts. Nothing waits for it. */
export async function keepMark(o: {
  readonly config: Place;
  readonly incarnation: string;
  readonly owner: Owner | undefined;
  readonly store: Queryable;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const path = pathOf(o.config);
  let noted: Promises | undefined;
  let notedAt = Number.NEGATIVE_INFINITY;
  while (!o.signal.aborted) {
    try {
      const now = await promisesOf(o.store);
      const promised = noted?.term !== now.term || noted.pledge !== now.pledge;
      const late = noted?.commit !== now.commit && o.clock.now() - notedAt >= COMMITS_MS;
      if (path !== undefined && (promised || late)) {
        const text = JSON.stringify({ incarnation: o.incarnation, ...asText(now) });
        await writeDurable(path, `${text}\n`, { owner: o.owner });
        [noted, notedAt] = [now, o.clock.now()];
      }
    } catch (error) {
      // The store restarts, or the volume is full: the next round tries again.
      o.log.debug({ event: "control.gone" }, `the mark was not written: ${error}`);
    }
    await o.hints.within(COMMITS_MS, o.signal);
  }
}

function asText({ term, pledge, commit }: Promises) {
  return { term: `${term}`, pledge: `${pledge}`, commit: `${commit}` };
}
