/** Sessions that keep notifications of the control store from being forgotten. */
import { z } from "zod";
import { callMany, type Queryable } from "./call.ts";

const Hindering = z.object({
  /** The session, and the transaction it is in. */
  key: z.string(),
  pid: z.int(),
  role: z.string(),
  application: z.string(),
});
export type Hindering = z.infer<typeof Hindering>;

/** Sessions that may hold up the notifications of the store, while these fill more than a part of their queue. */
export function hindering(db: Queryable, part: number): Promise<Hindering[]> {
  return callMany(db, Hindering, {
    name: "node.hindering",
    text: "select key, pid, role, application from node.hindering(p_part => $1)",
    values: [part],
  });
}

/** End one that still does; false when it does no more. */
export async function endHindering(db: Queryable, part: number, key: string): Promise<boolean> {
  const ended = await callMany(db, z.object({ ended: z.boolean() }), {
    text: `select pg_catalog.pg_terminate_backend(h.pid) as ended
             from node.hindering(p_part => $1) as h where h.key = $2`,
    values: [part, key],
  });
  return ended.some((row) => row.ended);
}
