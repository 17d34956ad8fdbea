/** A data server that was there before its cluster, looked at once: can it be ours, and does it hold what was ours? */
import { z } from "zod";
import { callOne, run } from "./call.ts";
import { openForActs, type SocketAddress } from "./data-connection.ts";

const Word = z.object({ super: z.boolean(), stamps: z.boolean() });

/** Undefined, or why not. The stamps of an earlier cluster of this very name and member go: epochs begin anew. */
export async function prepareKept(
  where: SocketAddress,
  clusterId: string,
): Promise<string | undefined> {
  const connection = await openForActs(where, { applicationName: "pg_replica init" }).catch(
    (error: unknown) => {
      if (!REFUSED.has((error as { readonly code?: string }).code ?? "")) throw error;
      return undefined;
    },
  );
  const needs = "expected a superuser postgres that may log in, and a database postgres";
  if (connection === undefined) return `postgres: nobody logs in by that name: ${needs}`;
  try {
    const { db } = connection;
    const word = await callOne(db, Word, {
      text: `select r.rolsuper as super, to_regclass('pgreplica.stamp') is not null as stamps
               from pg_roles as r where r.rolname = current_user`,
    });
    if (!word.super) return `postgres: no superuser: ${needs}`;
    if (!word.stamps) return undefined;
    await run(db, {
      text: "delete from pgreplica.stamp where cluster_id = $1",
      values: [clusterId],
    });
    return undefined;
  } finally {
    connection.end();
  }
}

/** No such role, it may not log in, no such database. */
const REFUSED: ReadonlySet<string> = new Set(["28000", "3D000"]);
