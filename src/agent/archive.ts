/** Tells of an archive that fails or is slow, and of its end. Nothing is decided by it. */
import { archiveTrouble } from "../core/archiving.ts";
import type { Queryable } from "../db/call.ts";
import { archiving } from "../db/data-archive.ts";
import type { Agent } from "./context.ts";

const [FAILS, WORKS] = ["archive_fails", "archive_works"] as const;

/**
 * `told`: a trouble was told of and has not ended; a worker or a primary that is new asks the cluster's events for it.
 * Returns whether that is so now.
 */
export async function watchArchive(
  { store, log }: Agent,
  db: Queryable,
  told: boolean | undefined,
): Promise<boolean> {
  const before = told ?? (await store.lastEvent([FAILS, WORKS])) === FAILS;
  const seen = await archiving(db);
  const trouble = seen && archiveTrouble(seen);
  if ((trouble !== undefined) === before) return before;
  const event = trouble === undefined ? WORKS : FAILS;
  const reason = trouble ?? "nothing has failed since, and nothing waits for long";
  log.warn({ event: "data.archive", waiting: seen?.waiting }, reason);
  await store.noteAct({ event, reason });
  return trouble !== undefined;
}
