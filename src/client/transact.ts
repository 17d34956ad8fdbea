/** `transaction(fn)`: begun, run, committed; run again, whole, while that is provably safe. */
import { unless } from "../clock/unless.ts";
import { attempting, type Plan, type Progress, Thrown } from "./attempts.ts";
import type { Call } from "./call.ts";
import { ClientError } from "./errors.ts";
import type { Lease } from "./node.ts";
import { type Characteristics, type Session, Transaction, type TypeMaps } from "./session.ts";
import type { Target, Topology } from "./topology.ts";
import type { Backoff } from "./verdict.ts";

export interface Work<T> {
  readonly target: Target;
  readonly backoff: Backoff;
  /** Commits with the work, and tells afterwards whether it did. */
  readonly key: string | undefined;
  readonly characteristics: Characteristics;
  readonly isRead: boolean;
  readonly types: TypeMaps;
  readonly holding: (lease: Lease, work: () => Promise<Done<T>>) => Promise<Done<T>>;
  readonly fn: (tx: Session) => Promise<T>;
}

/** `resolved`: an earlier attempt had committed; what it gave is gone with its answer. */
export type Done<T> =
  | { readonly resolved: false; readonly value: T; readonly node: string }
  | { readonly resolved: true; readonly node: string };

const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;

export async function transact<T>(topology: Topology, call: Call, work: Work<T>): Promise<Done<T>> {
  const { target, key, backoff, isRead } = work;
  if (key !== undefined && !UUID.test(key)) {
    throw new ClientError("CONFIG", `idempotencyKey: ${JSON.stringify(key)} is no uuid`);
  }
  const plan: Plan = {
    target,
    work: isRead ? "read" : "transaction",
    resolves: key === undefined ? "none" : "all",
    backoff,
  };
  const attempt = (lease: Lease, progress: Progress) =>
    work.holding(lease, async (): Promise<Done<T>> => {
      const tx = new Transaction({ lease, call, types: work.types, progress });
      await lease.link.setReadOnly(target.mode !== "read-write", call.stop);
      await tx.begin(work.characteristics);
      const node = lease.node.name;
      const came = await runIn(tx, async () => {
        const whose = key === undefined ? "ours" : await tx.claim(key);
        return whose === "ours" ? { value: await unless(call.stop, work.fn(tx)) } : undefined;
      });
      await tx.commitOnce().catch((error: unknown) => {
        // Rolled back, because of a failure that fn has swallowed.
        throw error instanceof ClientError && tx.mayRunAgain() ? tx.failure : error;
      });
      return came === undefined ? { resolved: true, node } : { resolved: false, ...came, node };
    });
  try {
    return await attempting(topology, call, plan, attempt);
  } catch (error) {
    throw error instanceof Thrown ? error.cause : error;
  }
}

/** What fn throws is the caller's, unless the transaction had failed in a way that fn is no part of. */
async function runIn<T>(tx: Transaction, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    await tx.rollbackOnce();
    throw tx.mayRunAgain() ? tx.failure : new Thrown(error);
  }
}
