/** `src/db/prepared.ts`: the same statement, asked over a simulated connection. */
import type { Row } from "../model/network.ts";
import type { Client, Pool } from "./pg.ts";

export type Value = string | number | bigint | boolean | null | undefined;

export function isPlain(value: unknown): value is Value {
  return value === null || typeof value !== "object";
}

export async function runPrepared(
  db: Client | Pool,
  {
    text,
    values,
  }: { readonly name: string; readonly text: string; readonly values: readonly Value[] },
): Promise<readonly Row[]> {
  return (await db.query({ text, values })).rows;
}
