/** What the leader knows, each thing with its age: all the coordinator ever sees. */
import type { Epoch, Lsn, NodeId } from "../core/ids.ts";
import type { Flap } from "./flapping.ts";
import { LIMITS } from "./limits.ts";

/** A member as the log knows it. */
export interface Member {
  readonly node_id: NodeId;
  readonly name: string;
  /** Null for a witness, which votes and holds no data. */
  readonly data_port: number | null;
  readonly voter: boolean;
  readonly promotable: boolean;
  readonly priority: number;
  /** Its confirmation may count for commits. */
  readonly sync: boolean;
  /** It is to be removed: its confirmation counts no more, and it is promoted only where nobody else will do. */
  readonly leaving: boolean;
  readonly state: "initial" | "registered" | "attached";
}

export interface EpochFact {
  readonly epoch: Epoch;
  readonly state: "opened" | "appointed" | "promoted" | "serving" | "superseded";
  readonly cause: string;
  readonly old_primary: NodeId | null;
  readonly node_id: NodeId | null;
  /** At its appointment no earlier primary could be serving any more. */
  readonly old_fenced: boolean;
  readonly request_id: bigint | null;
  readonly handover_to: NodeId | null;
  readonly handover_request: bigint | null;
  /** Once serving: how long writes were not possible, as the leader measured it. */
  readonly write_gap_ms: number | null;
}

export interface RequestFact {
  readonly request_id: bigint;
  readonly kind: "failover" | "switchover" | "recover";
  readonly state: "waiting" | "running" | "done" | "failed" | "unknown";
  readonly args: {
    readonly target: NodeId | null;
    readonly allow_data_loss: boolean;
    /** It was about the primary of this epoch, or whoever was to be it. */
    readonly epoch?: Epoch | null | undefined;
  };
  /** Once running: the epoch that answers it. */
  readonly epoch: Epoch | null;
}

/** A commit rule: k of the cohort, the primary's own copy apart, confirm a commit. */
export interface Rule {
  readonly k: number;
  readonly cohort: readonly NodeId[];
}

/** The committed state the coordinator decides on; `ClusterView` of `src/db` has this shape. */
export interface View {
  readonly node_id: NodeId;
  readonly formed: boolean;
  readonly paused_why: string | null;
  readonly mode: "quorum" | "available" | "async";
  readonly rule: Rule & { readonly version: bigint };
  /** A change half made: both rules bind. */
  readonly next_rule: Rule | null;
  /** What synchronous_standby_names must be now. */
  readonly standby_names: string;
  readonly members: readonly Member[];
  /** Newest first. */
  readonly epochs: readonly EpochFact[];
  readonly highest_timeline: number;
  /** Waiting and running, oldest first. */
  readonly requests: readonly RequestFact[];
  /** Places up to which the cluster should forget; null: nothing is worth a command. */
  readonly forget: Readonly<Record<string, string>> | null;
}

/** What a member's worker last said of its data server. */
export interface Seen {
  readonly role: "primary" | "standby" | "none";
  readonly state: string;
  readonly epoch: Epoch;
  readonly gate_open: boolean;
  readonly timeline: number | null;
  readonly gone: boolean;
  readonly hung: boolean;
  readonly switch_lsn: Lsn | null;
  readonly stamp_lsn: Lsn | null;
  readonly attached: readonly NodeId[];
  readonly wal_lsn: Lsn | null;
  readonly lag_bytes: bigint | null;
  /** The change of the commit rule that the primary has proved in force. */
  readonly rule_proved: bigint | null;
  readonly system_identifier: string | null;
  /** Of a standby: logical slots that it could carry on after a failover to it. */
  readonly slots: number | null;
}

export type Reach = "ok" | "refused" | "silent" | "unknown";

export interface MemberFact {
  /** Its control store, as this node's connections see it; the own one is always `ok`. */
  readonly store: { readonly reach: Reach; readonly sinceMs: number };
  /** The life that answers there is the one the log knows: only that one votes (H56). */
  readonly known: boolean;
  /** Since its beat rose before our eyes; undefined: not once since this leadership began. */
  readonly beatMs: number | undefined;
  readonly seen: Seen | undefined;
  /** How long it has not streamed from the primary, in this epoch and as far as this leader saw. */
  readonly awayMs: number;
}

/** The primary's data port, tried from this node. */
export interface ProbeFact {
  readonly result: "untested" | "answers" | "refused" | "silent";
  /** How long that has been so; of `silent`, since the first query that went unanswered. */
  readonly sinceMs: number;
}

/**
 * A pledge and, once made, the report of a member for the newest epoch. Without an LSN it is void: that member holds
 * nothing, and confirmed nothing from `historyEpoch` on.
 */
export interface ReportFact {
  readonly pledge: Epoch;
  readonly historyEpoch?: Epoch;
  readonly lsn?: Lsn;
  readonly shutdownLsn?: Lsn;
  readonly problem?: string;
}

export interface Facts {
  readonly self: NodeId;
  readonly view: View;
  readonly members: ReadonlyMap<NodeId, MemberFact>;
  /** How long this leader has led. */
  readonly leadingMs: number;
  /** How long this leader has known the newest epoch in its present state. */
  readonly epochMs: number;
  /** How long it has known of the hand-over that is under way. */
  readonly handOverMs: number;
  readonly probe: ProbeFact;
  /** For the newest epoch while it is `opened`. */
  readonly reports: ReadonlyMap<NodeId, ReportFact>;
  /** What the primary answers about the hand-over under way. */
  readonly handedOver: { readonly shutdownLsn?: Lsn; readonly problem?: string } | undefined;
  /** Until each request may begin, by the leader's wall clock: a matter of display, not of safety. */
  readonly dueInMs: ReadonlyMap<bigint, number>;
  /** Since the last failover that was inferred from silence, as far as this worker remembers. */
  readonly sinceFailoverMs: number | undefined;
  /** Nodes that silence cost the role, as far as this worker saw. */
  readonly flaps: ReadonlyMap<NodeId, Flap>;
  readonly sinceTransferMs: number | undefined;
  /** Since writes stopped, as far as this leader noticed; undefined while they are possible. */
  readonly gapMs: number | undefined;
  /** What was last said in an event about a failover that cannot go on. */
  readonly saidBlocked: string | undefined;
  /** At most so long ago the primary's lease was renewed; and after how long it is over and its fence too. */
  readonly leaseMs: number;
  readonly leaseOverMs: number;
  /** A store that has answered nothing for this long is frozen or cut off. */
  readonly silentMs: number;
}

export function newest(view: View): EpochFact | undefined {
  return view.epochs[0];
}

/** The appointed node of the newest epoch; undefined before the first and while none is chosen. */
export function primaryOf(view: View): NodeId | undefined {
  const epoch = newest(view);
  return epoch === undefined || epoch.state === "opened" ? undefined : (epoch.node_id ?? undefined);
}

export function memberOf(view: View, id: NodeId | null | undefined): Member | undefined {
  return view.members.find((member) => member.node_id === id);
}

/** A hand-over has had its time: since writes stopped, or in all. */
export function isHandOverLate({ handOverMs, gapMs }: Facts): boolean {
  return handOverMs > LIMITS.handOverMs || (gapMs ?? 0) > LIMITS.drainMs;
}

/** A member's name for people; its number when the log does not know it. */
export function nameOf(view: View, id: NodeId | null | undefined): string {
  return memberOf(view, id)?.name ?? `node ${id ?? "?"}`;
}

export function isDataMember(member: Member): boolean {
  return member.data_port !== null;
}
