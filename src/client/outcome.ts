/**
 * Doubt resolved by a key that commits with the work. Claiming it waits for an original still running; found there, the
 * original has committed; not found, it never can, because the claim holds the key now.
 */
import { ClientError, sqlstateOf } from "./errors.ts";
import type { Link } from "./link.ts";

/** What `idempotencyKey` needs, once per database; keys older than a day may be deleted. */
export const OUTCOME_DDL = `create schema if not exists replica_client;
create table if not exists replica_client.outcome (
  key uuid primary key,
  at timestamptz not null default clock_timestamp()
);`;

const CLAIM =
  "insert into replica_client.outcome (key) values ($1) on conflict do nothing returning key";
/** Writes, so that our own commit waits for the standbys: what it saw is then as safe as itself. */
const CONFIRM = "update replica_client.outcome set at = clock_timestamp() where key = $1";

/** Inside the transaction, before the work: is it ours to do, or was it done? */
export async function claim(link: Link, key: string): Promise<"ours" | "done"> {
  try {
    const { rowCount } = await link.query(CLAIM, [key]);
    if (rowCount === 1) return "ours";
    await link.query(CONFIRM, [key]);
    return "done";
  } catch (error) {
    if (sqlstateOf(error) !== "42P01" && sqlstateOf(error) !== "3F000") throw error;
    throw new ClientError("42P01", "idempotencyKey needs the table replica_client.outcome", {
      hint: OUTCOME_DDL,
      cause: error,
    });
  }
}
