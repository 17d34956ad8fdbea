/** What failover and switchover share: waiting for a request, and saying what became of it. */
import type { RequestRow } from "../db/pg-replica.ts";
import { print } from "./command.ts";
import { json } from "./table.ts";

/** Time for a statement whose request waits `waitMs`. */
export function statementLimit(waitMs: number): number {
  return waitMs + 10_000;
}

export const DEFAULT_WAIT_MS = 30_000;
export const MAX_WAIT_MS = 3_600_000;

/** Print the row; 0 when it is done or goes on by itself, 1 when it failed or nobody knows. */
export function report(row: RequestRow, { asJson }: { readonly asJson: boolean }): number {
  print(asJson ? json(row) : sentence(row));
  return row.state === "failed" || row.state === "unknown" ? 1 : 0;
}

function sentence(row: RequestRow): string {
  const from = row.from_node === null ? "" : ` from node ${row.from_node}`;
  const to = row.to_node === null ? "" : ` to node ${row.to_node}`;
  const gap = row.write_gap_ms === null ? "" : `, no writes for ${row.write_gap_ms} ms`;
  const epoch = row.epoch === null ? "" : `, epoch ${row.epoch}`;
  const why = row.reason === null ? "" : `: ${row.reason}`;
  const later =
    row.state === "running" || row.state === "waiting"
      ? " (it goes on: select * from pg_replica.requests())"
      : "";
  return `request ${row.request_id}: ${row.kind}${from}${to} ${row.state}${epoch}${gap}${why}${later}`;
}
