/** The loop around every piece of work: a connection, an attempt, and what the table says of its failure. */
import type { Call } from "./call.ts";
import { ClientError, toClientError } from "./errors.ts";
import type { Lease } from "./node.ts";
import { faultOf, inDoubt } from "./run.ts";
import type { Target, Topology } from "./topology.ts";
import {
  type Backoff,
  delayBefore,
  type Fault,
  isSignOfLoss,
  verdictOn,
  type Work,
} from "./verdict.ts";

/** How far an attempt had come; the attempt itself keeps it current. */
export interface Progress {
  phase: Fault["phase"];
  /** As planned, until it did something else. */
  work: Work;
}

export interface Plan {
  readonly target: Target;
  readonly work: Work;
  /**
   * Doubt that another attempt resolves. `all`: it claims its key first · `lost`: it is harmless twice, but of its
   * second time no standby hears, so what the first one's missed stays doubt.
   */
  readonly resolves: "all" | "lost" | "none";
  readonly backoff: Backoff;
}

/** Throws ClientError; returns what the first attempt gave that ended well. */
export async function attempting<T>(
  topology: Topology,
  call: Call,
  plan: Plan,
  attempt: (lease: Lease, progress: Progress) => Promise<T>,
): Promise<T> {
  for (;;) {
    call.next();
    const lease = await topology.acquire(plan.target, call);
    const progress: Progress = { phase: "before", work: plan.work };
    let result: T;
    try {
      result = await attempt(lease, progress);
    } catch (error) {
      const failure = judge(error, { lease, progress, call, plan });
      if (failure !== undefined) throw failure;
      await topology.pause(call, delayBefore(call.attempts, plan.backoff, Math.random()));
      continue;
    }
    lease.release();
    return result;
  }
}

interface Failed {
  readonly lease: Lease;
  readonly progress: Progress;
  readonly call: Call;
  readonly plan: Plan;
}

/** What to throw; undefined: try again. */
function judge(error: unknown, { lease, progress, call, plan }: Failed): Error | undefined {
  const { node, link } = lease;
  const where = { node: node.name, attempts: call.attempts };
  if (error instanceof ClientError || error instanceof Thrown) {
    lease.release(link.lost ? "destroy" : "keep");
    return error;
  }
  const fault = faultOf(error, lease, { call, phase: progress.phase });
  lease.release(fault.lost ? "destroy" : "keep");
  if (isSignOfLoss(fault) && call.stop?.aborted !== true) node.suspect();
  const verdict = verdictOn(fault, progress.work);
  switch (verdict) {
    case "stopped":
      return call.stop?.reason;
    case "in_doubt":
      if (!resolves(fault, plan) || isLast(call, plan))
        return inDoubt(error, node.name, call.attempts);
      break;
    case "again":
      if (isLast(call, plan)) return toClientError(error, where);
      break;
    case "tell":
      return toClientError(error, where);
  }
  call.avoid.add(node.name);
  return undefined;
}

const resolves = ({ waitCancelled = false }: Fault, plan: Plan): boolean =>
  plan.resolves === "all" || (plan.resolves === "lost" && !waitCancelled);

const isLast = (call: Call, { backoff }: Plan): boolean =>
  call.attempts >= backoff.maxAttempts || call.stop?.aborted === true;

/** Around what the caller's own function threw: it goes back to him as it was, and is nothing to try again for. */
export class Thrown extends Error {
  override readonly name = "Thrown";
  constructor(cause: unknown) {
    super("thrown by the caller's function", { cause });
  }
}
