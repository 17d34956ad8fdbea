/**
 * Whether this server's history holds all that the consumer has got. An LSN alone does not tell: after a failover the
 * new primary writes other records at positions that the old one had written and nobody had confirmed.
 */
import { field, identify } from "../replication/commands.ts";
import type { Connection } from "../replication/connection.ts";
import { ReplicationError } from "./errors.ts";
import { Lsn } from "./lsn.ts";
import type { Settings } from "./options.ts";
import type { History, Start } from "./upstream.ts";

const RESEED =
  "re-seed needed: copy the tables anew and begin with a new slot; what was applied is not this server's history";

/** Throws ReplicationError `slot` when it does not. */
export async function checkHistory(
  connection: Connection,
  { slot }: Settings,
  { from }: Start,
): Promise<History> {
  const { timeline, systemIdentifier } = await identify(connection);
  const refuse = (why: string) =>
    new ReplicationError("slot", `slot ${JSON.stringify(slot)} at ${connection.peer}: ${why}`, {
      hint: RESEED,
    });
  if (from === undefined) return { timeline, systemIdentifier };
  if (from.systemIdentifier !== undefined && from.systemIdentifier !== systemIdentifier) {
    throw refuse(
      `this is system ${systemIdentifier}, the stream came from ${from.systemIdentifier}`,
    );
  }
  if (from.timeline !== timeline) {
    const left = await leftAt(connection, from.timeline, timeline);
    if (left === undefined) {
      throw refuse(`timeline ${from.timeline} is not among the ancestors of timeline ${timeline}`);
    }
    if (from.reached > left) {
      throw refuse(
        `${Lsn.format(from.reached)} of timeline ${from.timeline} was applied, and this server left that timeline at ${Lsn.format(left)}`,
      );
    }
  }
  return { timeline, systemIdentifier };
}

/** Where `timeline` and its ancestors left timeline `old`; undefined when it is none of them. */
async function leftAt(
  connection: Connection,
  old: number,
  timeline: number,
): Promise<Lsn | undefined> {
  if (old > timeline) return undefined;
  const [result] = await connection.query(`TIMELINE_HISTORY ${timeline}`);
  const lines = field(result, 0, "content").split("\n");
  for (const line of lines) {
    const [, number, lsn] = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line) ?? [];
    if (lsn !== undefined && Number(number) === old) return Lsn.parse(lsn);
  }
  return undefined;
}
