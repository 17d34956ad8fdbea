/**
 * Tells of a node whose C library or ICU orders text otherwise than the data were made: indexes on text are not in its
 * order, and find too little once it is promoted. Nothing is decided by it.
 */
import type { Queryable } from "../db/call.ts";
import { differingCollations } from "../db/data-collations.ts";
import type { Agent } from "./context.ts";

/** `told`: what was told last. Returns what is so now. */
export async function watchCollations(
  { store, log, config }: Pick<Agent, "store" | "log" | "config">,
  db: Queryable,
  told: string,
): Promise<string> {
  const found = await differingCollations(db);
  const now = found.map(({ what, made, here }) => `${what} (${made}, here ${here})`).join(", ");
  if (now === told || found.length === 0) return now;
  const reason = `${config.node.name} orders text otherwise than the data were made: ${now}`;
  log.warn({ event: "data.collations" }, reason);
  const hint = "the same system on every node, or REINDEX and REFRESH VERSION there once promoted";
  await store.noteAct({ event: "collations_differ", reason, detail: { hint } });
  return now;
}
