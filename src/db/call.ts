/** One SQL function, one parsed row. */
import type { ClientBase, Pool } from "pg";
import type { z } from "zod";
import { fromPgError } from "./errors.ts";
import { isPlain, runPrepared } from "./prepared.ts";

export type Queryable = Pool | ClientBase;

/** SQL text is a constant; `name` prepares it on the connection. */
export interface Query {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** Call one SQL function that returns exactly one row, and parse that row. */
export async function callOne<Row>(db: Queryable, row: z.ZodType<Row>, query: Query): Promise<Row> {
  const rows = await callMany(db, row, query);
  if (rows.length !== 1) throw new Error(`expected one row, got ${rows.length}: ${query.text}`);
  return rows[0] as Row;
}

/** Call one SQL function that returns a set, and parse each row. */
export async function callMany<Row>(
  db: Queryable,
  row: z.ZodType<Row>,
  query: Query,
): Promise<Row[]> {
  const rows = await ask(db, query).catch(fromPgError);
  return rows.map((one) => row.parse(one));
}

async function ask(db: Queryable, { name, text, values = [] }: Query): Promise<unknown[]> {
  if (name !== undefined && values.every(isPlain)) {
    return await runPrepared(db, { name, text, values });
  }
  const { rows } = await db.query({
    ...(name === undefined ? {} : { name }),
    text,
    values: [...values],
  });
  return rows;
}

/** Run a statement for its effect. */
export async function run(db: Queryable, query: Query): Promise<void> {
  await ask(db, query).catch(fromPgError);
}
