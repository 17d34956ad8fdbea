/**
 * Doubt resolved by a key that commits with the work. Claiming it waits for an original still running; found there, the
 * original has committed; not found, it never can, because the claim holds the key now.
 */
import { ClientError, sqlstateOf } from "./errors.ts";
import type { Link } from "./link.ts";

/**
 * What `idempotencyKey` needs, once per database; in the database `postgres` of a pg_replica cluster it is there. Keys
 * older than a day may be deleted. `sql/client/outcome.sql` is the same with a role to grant.
 */
export const OUTCOME_DDL = `create schema if not exists replica_client;
create table if not exists replica_client.outcome (
  key uuid primary key,
  at timestamptz not null default clock_timestamp()
);`;

/** Where the table came with the cluster, or from sql/client/outcome.sql. */
const OUTCOME_GRANT = "grant pgreplica_client to the role of the pool";

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
    throw explained(error);
  }
}

/** What is missing is said with what makes it. */
function explained(error: unknown): unknown {
  const sqlstate = sqlstateOf(error);
  if (sqlstate === "42P01" || sqlstate === "3F000") {
    const message = "idempotencyKey needs the table replica_client.outcome";
    return new ClientError("42P01", message, { hint: OUTCOME_DDL, cause: error });
  }
  if (sqlstate === "42501") {
    const message =
      "idempotencyKey needs USAGE on schema replica_client, and SELECT, INSERT and UPDATE on replica_client.outcome";
    return new ClientError("42501", message, { hint: OUTCOME_GRANT, cause: error });
  }
  return error;
}
