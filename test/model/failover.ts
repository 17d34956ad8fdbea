/**
 * The failover as a model small enough to try everything: what Raft commits is one register, data servers are lists of
 * records, and every member lags, crashes and returns as it likes. What decides is the project's own code: `choose`
 * with its reports and pledges, and the steps of the commit rule.
 *
 * A record is one letter: the number of the epoch whose stamp it is, or a write. A position is a length.
 * `Wrong` takes a rule of the design away, to show that it is needed.
 */
import { choose } from "../../src/coordinator/candidate.ts";
import type { Member, ReportFact, View } from "../../src/coordinator/facts.ts";

export interface Wrong {
  /** H01: report without stopping the receiver first. */
  readonly keepReceiving?: boolean;
  /** H02: a promotion takes the next number it knows, and a loser is judged by such numbers. */
  readonly timelinesByChance?: boolean;
  /** H10 (M19): a majority of reports, where n - k is more. */
  readonly majorityOfReports?: boolean;
  /** A commit waits for one standby less than the rule says. */
  readonly oneAckLess?: boolean;
  /** H18 (M27): the primary loosens its rule before the reports it needs have risen. */
  readonly loosenedFirst?: boolean;
  /** H18: the old rule is let go before the new one is in force. */
  readonly letGoFirst?: boolean;
  /** H23: a report goes by what the member was told to follow, not by the stamps in its WAL. */
  readonly stampsUnread?: boolean;
}

export interface Bounds {
  readonly nodes: number;
  readonly k: number;
  /** The rule may move to this k. */
  readonly towards?: number;
  readonly epochs: number;
  readonly writes: number;
  readonly crashes: number;
  readonly restarts: number;
}

interface Node {
  readonly up: boolean;
  readonly primary: boolean;
  /** A copy was begun and is not complete (H04): nothing starts here. */
  readonly marked: boolean;
  readonly wal: string;
  /** `timeline@start` of every timeline it has been through, its own last. */
  readonly history: readonly string[];
  /** Whose WAL it takes; 0: nobody's. */
  readonly upstream: number;
  readonly pledge: number;
  readonly followed: number;
  /** How much of the log it has applied. */
  readonly learnt: number;
  /** For the newest epoch: history and length, as reported. */
  readonly report: {
    readonly epoch: number;
    readonly history: number;
    readonly length: number;
  } | null;
  readonly gate: boolean;
  /** The rule its walsenders apply, and how far its WAL reached when they began to. */
  readonly k: number;
  readonly mark: number;
}

interface Epoch {
  readonly epoch: number;
  readonly node: number;
  readonly timeline: number;
  readonly from: number;
}

export interface State {
  readonly nodes: readonly Node[];
  /** Appointed epochs; the newest may still be open. */
  readonly epochs: readonly Epoch[];
  readonly opened: number;
  readonly rule: number;
  readonly nextRule: number | null;
  /** Commands committed so far: what a member may still have to learn. */
  readonly commits: number;
  readonly written: number;
  readonly acked: string;
  readonly crashes: number;
  readonly restarts: number;
  /** Noted where it happens. */
  readonly fault: string | null;
}

const WRITES = "ab";

export function initialState({ nodes, k }: Bounds): State {
  const node = (id: number): Node => ({
    up: true,
    primary: id === 1,
    marked: false,
    wal: "1",
    history: ["2@0"],
    upstream: id === 1 ? 0 : 1,
    pledge: 1,
    followed: 1,
    learnt: 1,
    report: null,
    gate: id === 1,
    k,
    mark: 0,
  });
  return {
    nodes: Array.from({ length: nodes }, (_, at) => node(at + 1)),
    epochs: [{ epoch: 1, node: 1, timeline: 2, from: 0 }],
    opened: 1,
    rule: k,
    nextRule: null,
    commits: 1,
    written: 0,
    acked: "",
    crashes: 0,
    restarts: 0,
    fault: null,
  };
}

const nodeOf = (state: State, id: number) => state.nodes[id - 1] as Node;
const idsOf = (state: State) => state.nodes.map((_, at) => at + 1);
export const newestOf = (state: State) => state.epochs.at(-1) as Epoch;
export const isOpen = (state: State) => state.opened > newestOf(state).epoch;

function withNode(state: State, id: number, changes: Partial<Node>): State {
  const nodes = state.nodes.map((one, at) => (at + 1 === id ? { ...one, ...changes } : one));
  return { ...state, nodes };
}

/** What the coordinator reads, in its own words. */
function viewOf(state: State, wrong: Wrong): View {
  const cohort = idsOf(state);
  const member = (id: number): Member => ({
    node_id: id,
    name: `node${id}`,
    data_port: 5432,
    voter: true,
    promotable: true,
    priority: 100,
    sync: true,
    leaving: false,
    state: "attached",
  });
  const open = {
    epoch: BigInt(state.opened),
    state: "opened",
    cause: "node_gone",
    old_primary: newestOf(state).node,
    node_id: null,
    request_id: null,
    handover_to: null,
    handover_request: null,
    write_gap_ms: null,
    old_fenced: false,
  } as const;
  // With a rule that asks nobody, `async` settles for a majority: the mistake of M19, made by the same code.
  const k = (value: number) => (wrong.majorityOfReports ? 0 : value);
  return {
    node_id: 1,
    formed: true,
    paused_why: null,
    mode: wrong.majorityOfReports ? "async" : "quorum",
    rule: { version: 0n, k: k(state.rule), cohort },
    next_rule: state.nextRule === null ? null : { k: k(state.nextRule), cohort },
    standby_names: "",
    members: idsOf(state).map(member),
    epochs: [open],
    highest_timeline: Math.max(...state.epochs.map(({ timeline }) => timeline)),
    requests: [],
    forget: null,
  };
}

function reportsOf(state: State): Map<number, ReportFact> {
  const reports = new Map<number, ReportFact>();
  for (const [at, { pledge, report }] of state.nodes.entries()) {
    const made = report?.epoch === state.opened ? report : undefined;
    reports.set(at + 1, {
      pledge: BigInt(pledge),
      ...(made === undefined
        ? {}
        : { historyEpoch: BigInt(made.history), lsn: BigInt(made.length) }),
    });
  }
  return reports;
}

/** Appointments that may follow: the project's choice, or a member that reported the very same. */
export function appointments(state: State, wrong: Wrong): readonly number[] {
  const choice = choose(viewOf(state, wrong), reportsOf(state));
  if (choice.kind === "waiting") return [];
  const best = nodeOf(state, choice.nodeId).report;
  return idsOf(state).filter((id) => {
    const { report } = nodeOf(state, id);
    const same = report?.history === best?.history && report?.length === best?.length;
    return report?.epoch === state.opened && same;
  });
}

/** node.history_epoch */
export function historyEpoch(state: State, { followed, wal }: Node, wrong: Wrong): number {
  const stamped = wrong.stampsUnread ? 0 : Number(wal.match(/\d(?=\D*$)/)?.[0] ?? 0);
  const known = Math.max(followed, stamped);
  const reached = state.epochs.filter(({ epoch, from }) => epoch <= known && from < wal.length);
  return Math.max(0, ...reached.map(({ epoch }) => epoch));
}

/** node.diverged, as far as this member has learnt; or what timeline numbers alone would tell. */
export function isDiverged(state: State, id: number, wrong: Wrong): boolean {
  const node = nodeOf(state, id);
  if (wrong.timelinesByChance) return !canStream(node, nodeOf(state, newestOf(state).node));
  return state.epochs.some(
    (one) => one.epoch > node.followed && one.node !== id && one.from < node.wal.length,
  );
}

/** What PostgreSQL looks at: is the standby's timeline the upstream's, or one that it left no earlier than here? */
export function canStream(standby: Node, upstream: Node): boolean {
  const own = standby.history.at(-1)?.split("@")[0];
  const at = upstream.history.findIndex((one) => one.split("@")[0] === own);
  if (at === -1) return false;
  const left = upstream.history[at + 1]?.split("@")[1];
  return left === undefined || standby.wal.length <= Number(left);
}

/** What a walsender counts: members that stream from it and report that much flushed. */
export function confirmers(state: State, id: number, length: number): readonly number[] {
  const primary = nodeOf(state, id);
  return idsOf(state).filter((other) => {
    const { up, upstream, wal } = nodeOf(state, other);
    return (
      up && upstream === id && wal.length >= length && canStream(nodeOf(state, other), primary)
    );
  });
}

/** D3: a timeline belongs to one epoch. */
export function timelineTwice({ epochs }: State): string | undefined {
  const used = new Set(epochs.map(({ timeline }) => timeline));
  return used.size < epochs.length ? "D3: one timeline for two epochs" : undefined;
}

/** D1: what was acknowledged is on the primary of the newest epoch. D9: who confirms a write holds it. */
export function writeLost(state: State): string | undefined {
  if (state.fault !== null) return state.fault;
  const { node, epoch } = newestOf(state);
  const primary = nodeOf(state, node);
  const promoted = primary.followed === epoch && primary.wal.includes(String(epoch));
  const lost = [...state.acked].find((write) => !primary.wal.includes(write));
  if (promoted && lost !== undefined) {
    return `D1: write ${lost} was acknowledged, and the primary of epoch ${epoch} lacks it`;
  }
  return undefined;
}

/** What a state is an example of. */
export function marksOf(state: State): readonly string[] {
  const { epoch, node } = newestOf(state);
  const newest = nodeOf(state, node);
  const leads = (one: Node) => one.up && one.primary && one.gate;
  const stale = state.nodes.some((one) => leads(one) && one.followed < epoch);
  return [
    ...(state.acked !== "" && epoch > 1 && leads(newest) ? ["failover after ack"] : []),
    ...(stale && leads(newest) ? ["stale writable leader"] : []),
    ...(state.nodes.some(({ marked }) => marked) ? ["copy under way"] : []),
    ...(state.nextRule !== null ? ["half-made rule"] : []),
  ];
}

export { idsOf, nodeOf, WRITES, withNode };
