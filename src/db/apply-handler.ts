/** The function of users that a server calls for every entry: where it is, and its turn. */
import { z } from "zod";
import { callMany, callOne, type Queryable } from "./call.ts";
import { int8 } from "./rows.ts";

const HandlerState = z.object({
  /** The entry it took last, and its place in a batch. */
  index: int8,
  item: z.int(),
  /** After an error: not before that. */
  wait_ms: z.int(),
});
export type HandlerState = z.infer<typeof HandlerState>;

/** Undefined where there is none, or nothing can be written. */
export async function handlerState(db: Queryable): Promise<HandlerState | undefined> {
  const [state] = await callMany(db, HandlerState, {
    name: "pgreplica.handler_state",
    text: "select index, item, wait_ms from pgreplica.handler_state()",
  });
  return state;
}

const Entries = z.object({ entries: z.string().nullable(), count: z.int() });

/** What comes after a place in the control store, as JSON text that is handed on as it is; undefined: nothing. */
export async function entriesAfter(
  store: Queryable,
  { index, item }: Pick<HandlerState, "index" | "item">,
  most: number,
): Promise<{ readonly text: string; readonly count: number } | undefined> {
  const { entries, count } = await callOne(store, Entries, {
    name: "node.entries_after",
    text: `
      select e.rows::text as entries, coalesce(jsonb_array_length(e.rows), 0) as count
        from node.entries_after(p_index => $1, p_item => $2, p_most => $3) as e (rows)`,
    values: [index, item, most],
  });
  return entries === null ? undefined : { text: entries, count };
}

/** Call the handler for these; how many it took. Fewer than there are: at the next one it failed. */
export async function runHandler(db: Queryable, entries: string): Promise<number> {
  const { taken } = await callOne(db, z.object({ taken: z.int() }), {
    name: "pgreplica.run_handler",
    text: "select pgreplica.run_handler(p_entries => $1::jsonb) as taken",
    values: [entries],
  });
  return taken;
}
