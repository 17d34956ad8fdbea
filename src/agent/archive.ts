/** Tells of an archive that fails or is slow, and of its end. Nothing is decided by it. */
import { archiveTrouble } from "../core/archiving.ts";
import type { Queryable } from "../db/call.ts";
import { archiving } from "../db/data-archive.ts";
import type { Agent } from "./context.ts";

/** `told`: a trouble was told of and has not ended. Returns whether that is so now. */
export async function watchArchive(agent: Agent, db: Queryable, told: boolean): Promise<boolean> {
  const seen = await archiving(db);
  const trouble = seen && archiveTrouble(seen);
  if ((trouble !== undefined) === told) return told;
  const event = trouble === undefined ? "archive_works" : "archive_fails";
  const reason = trouble ?? "nothing has failed since, and nothing waits for long";
  agent.log.warn({ event: "data.archive", waiting: seen?.waiting }, reason);
  await agent.store.noteAct({ event, reason });
  return trouble !== undefined;
}
