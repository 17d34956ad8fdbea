/** Runs one statement on one connection, and stops it on the server when the caller wants no more. */
import type { Clock } from "../clock/clock.ts";
import { formatLsn, parseLsn } from "../core/ids.ts";
import type { Call } from "./call.ts";
import { ClientError, endsSession, sqlstateOf } from "./errors.ts";
import type { Outcome, Statement } from "./extended.ts";
import type { Link } from "./link.ts";
import type { Lease } from "./node.ts";
import type { Fault } from "./verdict.ts";

/** How long after asking the server to cancel its answer is waited for. */
const READ_GRACE_MS = 80;
const WRITE_GRACE_MS = 1000;
const ASK_AGAIN_MS = 25;

export interface Running {
  readonly call: Call;
  /** The call's own. */
  readonly stop: AbortSignal;
  /** Reads are given up soon: nobody needs to know what became of them. */
  readonly isRead: boolean;
}

/**
 * Run `work` on the connection. When the call is stopped the server is asked to cancel, and its answer waited for: it
 * may have finished after all. Without an answer the connection is destroyed.
 */
export async function stoppable<T>(
  link: Link,
  { call, stop, isRead }: Running,
  work: () => Promise<T>,
): Promise<T> {
  call.check();
  const over = new AbortController();
  let cancelling: Promise<void> | undefined;
  const onStop = () => {
    cancelling = cancel(link, call, {
      over: over.signal,
      ms: isRead ? READ_GRACE_MS : WRITE_GRACE_MS,
    });
  };
  stop.addEventListener("abort", onStop, { once: true });
  try {
    return await work();
  } finally {
    over.abort(null);
    stop.removeEventListener("abort", onStop);
    // A cancel still on its way would hit the next statement.
    await cancelling;
  }
}

async function cancel(
  link: Link,
  { clock }: Call,
  { over, ms }: { readonly over: AbortSignal; readonly ms: number },
): Promise<void> {
  const asking = askToCancel(link, { clock, over });
  await clock.sleep(ms, over);
  if (over.aborted) await asking;
  else link.destroy(); // no answer: nothing runs here again, however late the server hears of it
}

/** Again until it is over: a request that overtakes its statement stops nothing. */
async function askToCancel(
  link: Link,
  { clock, over }: { readonly clock: Clock; readonly over: AbortSignal },
): Promise<void> {
  try {
    while (!over.aborted && !link.lost) {
      await link.cancelRunning();
      await clock.sleep(ASK_AGAIN_MS, over);
    }
  } catch {
    link.destroy(); // not delivered for certain: it could hit the next statement
  }
}

/** What happened, for the table of verdicts. */
export function faultOf(
  error: unknown,
  { link }: Pick<Lease, "link">,
  { call, phase }: { readonly call: Call; readonly phase: Fault["phase"] },
): Fault {
  const sqlstate = sqlstateOf(error);
  // Our own errors, and those of a caller's type parser, come over a connection that lives.
  const lost = sqlstate === undefined ? link.lost : endsSession(error);
  const stopped = call.stop?.aborted === true;
  const { waitCancelled, isReadOnly: readOnly } = link;
  return { phase, lost, sqlstate, stopped, readOnly, waitCancelled };
}

/** "cached plan must not change result type", or deallocated: said before anything ran; prepared anew it works. */
function isStale(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  const routine = error instanceof Error && "routine" in error ? error.routine : undefined;
  return sqlstate === "26000" || (sqlstate === "0A000" && routine === "RevalidateCachedQuery");
}

/** One statement; outside a transaction one whose preparation went stale is prepared anew. */
export function runStatement(
  link: Link,
  statement: Statement,
  where: "alone" | "in a transaction",
): Promise<Outcome> {
  return link.run(statement).catch((error: unknown) => {
    if (!isStale(error)) throw error;
    link.forget(statement.text);
    if (where === "alone") return link.run(statement);
    throw error;
  });
}

/** Thrown beside a success: it was committed here, and the wait for the standbys was given up. */
export class WaitCancelled extends Error {
  override readonly name = "WaitCancelled";
}

export function inDoubt(error: unknown, node: string, attempts: number): ClientError {
  const cancelled = error instanceof WaitCancelled;
  return new ClientError(
    "IN_DOUBT",
    cancelled
      ? `committed on ${node}, but the wait for its standbys was cancelled: a failover may lose it`
      : `the connection to ${node} was lost before its answer: whether it was committed is not known`,
    {
      hint: "Give an idempotencyKey to have this found out.",
      node,
      attempts,
      cause: error,
    },
  );
}

/** Where the WAL ends now: a standby that has replayed this has what was just written. */
export async function lsnOf(link: Link): Promise<string> {
  const { rows } = await link.query<{ lsn: string }>(
    `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                 else pg_current_wal_insert_lsn() end::text as lsn`,
  );
  return formatLsn(parseLsn(rows[0]?.lsn ?? "0/0"));
}
