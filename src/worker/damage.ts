/**
 * A control store whose pages are not what was written (H57): nothing of it is repaired or cut off, it is made anew, as
 * another life. PostgreSQL checks every page it reads: whoever meets a damaged one gets an error, and the server
 * counts it.
 */
import { type Clock, untilBeat } from "../clock/clock.ts";
import { damagedPage } from "../db/errors.ts";
import type { Log } from "../log/logger.ts";
import { ServerGone } from "../postgres/server.ts";
import type { AskUpkeep } from "./upkeep.ts";

/** The last words of a server that cannot start; its messages are not translated. */
const LAST_WORDS =
  /invalid page in block|incorrect checksum in control file|could not locate a valid checkpoint record/;
const LOOK_MS = 1000;

/** Why the store must not be used any more, or undefined when the error says nothing of that. */
export function damageIn(error: unknown): string | undefined {
  if (error instanceof ServerGone) return LAST_WORDS.exec(error.logTail)?.[0];
  return damagedPage(error);
}

/** Resolves when the running store has met a damaged page, with what it says; undefined once the signal aborts. */
export async function untilDamaged(o: {
  readonly ask: AskUpkeep;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<string | undefined> {
  let before: number | undefined;
  while (!o.signal.aborted) {
    try {
      const { damaged_pages: now } = await o.ask();
      before ??= now;
      if (now > before) return `it has met ${now - before} damaged pages`;
    } catch (error) {
      const damage = damageIn(error);
      if (damage !== undefined) return damage;
      // A store that restarts is asked again.
      o.log.debug({ event: "control.gone" }, `no damage was looked for: ${error}`);
    }
    await o.clock.sleep(untilBeat(o.clock.now(), LOOK_MS), o.signal);
  }
  return undefined;
}
