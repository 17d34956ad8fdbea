/** While leading: members are known by their incarnations; one that lost its control store learns, then votes again. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { NodeId } from "../core/ids.ts";
import { isAtWork, type Signs } from "../core/membership.ts";
import type { Queryable } from "../db/call.ts";
import { clusterView, type Member } from "../db/cluster.ts";
import type { Log } from "../log/logger.ts";
import type { Leadership } from "../raft/raft.ts";
import type { Raft } from "../raft/run.ts";

const LOOK_MS = 200;
const SETTLED_LOOK_MS = 5000;

type Register = Pick<Leadership, "signal" | "propose" | "caughtUp">;

/** Each member's beat when this leader first looked. */
type FirstBeats = Map<NodeId, bigint>;

export async function registerMembers(
  leadership: Register,
  {
    raft,
    store,
    clock,
    log,
  }: {
    readonly raft: Pick<Raft, "incarnations">;
    readonly store: Queryable;
    readonly clock: Clock;
    readonly log: Log;
  },
): Promise<void> {
  const { signal } = leadership;
  const firstBeats: FirstBeats = new Map();
  let seen = "";
  let lookedAt = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const heard = [...raft.incarnations()].join();
    if (heard !== seen || clock.now() - lookedAt >= SETTLED_LOOK_MS) {
      const settled = await registerOnce(leadership, { raft, store, firstBeats }).catch(
        (error: unknown) => {
          log.debug({ event: "coordinator.refused" }, `members not registered: ${error}`);
          return false;
        },
      );
      seen = settled ? heard : "";
      lookedAt = clock.now();
    }
    await clock.sleep(untilBeat(clock.now(), LOOK_MS), signal);
  }
}

/** True when there is nothing more to do soon: every member is known, and votes, or was refused. */
async function registerOnce(
  leadership: Register,
  {
    raft,
    store,
    firstBeats,
  }: {
    readonly raft: Pick<Raft, "incarnations">;
    readonly store: Queryable;
    readonly firstBeats: FirstBeats;
  },
): Promise<boolean> {
  const { members, observed } = await clusterView(store);
  const beats = new Map(observed.map(({ node_id, beat }) => [node_id, beat]));
  for (const { node_id } of members) {
    if (!firstBeats.has(node_id)) firstBeats.set(node_id, beats.get(node_id) ?? 0n);
  }
  const signsOf = ({ node_id }: Member): Signs => ({
    firstBeat: firstBeats.get(node_id) ?? 0n,
    beat: beats.get(node_id) ?? 0n,
  });
  const due = members.flatMap((member) => {
    const step = nextFor(member, raft.incarnations().get(member.node_id));
    return step === undefined ? [] : [{ ...step, member }];
  });
  let refused = false;
  for (const { kind, body, member } of due) {
    // One change of the voters at a time, each committed before the next (H53).
    const waits = !leadership.caughtUp(member.node_id) || !isAtWork(signsOf(member));
    if (kind === "voter" && waits) continue;
    const { outcome } = await leadership.propose(kind, body);
    refused ||= outcome !== "ok";
  }
  // What was refused was heard from a life that has ended: its connection will say so.
  return refused || (due.length === 0 && members.every(({ incarnation }) => incarnation !== null));
}

interface Step {
  readonly kind: "register" | "readmit" | "voter";
  readonly body: { readonly node_id: NodeId } & Readonly<Record<string, unknown>>;
}

/** What brings this member further, given the incarnation its store said hello with. */
function nextFor(
  { node_id, incarnation: known, voter, wants_vote, leaving }: Member,
  incarnation: string | undefined,
): Step | undefined {
  if (incarnation === undefined) return undefined;
  if (known === null) return { kind: "register", body: { node_id, incarnation } };
  if (known !== incarnation) {
    return { kind: "readmit", body: { node_id, incarnation, replaces: known } };
  }
  return voter || !wants_vote || leaving
    ? undefined
    : { kind: "voter", body: { node_id, incarnation } };
}
