/** What may happen next in the model of the failover. */
import type { Step } from "./explore.ts";
import {
  appointments,
  type Bounds,
  canStream,
  confirmers,
  historyEpoch,
  idsOf,
  isDiverged,
  isOpen,
  newestOf,
  nodeOf,
  type State,
  WRITES,
  type Wrong,
  withNode,
} from "./failover.ts";

type Steps = Step<State>[];

export function stepsOf(bounds: Bounds, wrong: Wrong) {
  return (state: State): Steps => [
    ...idsOf(state).flatMap((id) => [
      ...write(state, id, bounds),
      ...replicate(state, id),
      ...acknowledge(state, id, wrong),
      ...crash(state, id, bounds),
      ...restart(state, id, bounds),
      ...learn(state, id),
      ...report(state, id, wrong),
      ...promote(state, id, wrong),
      ...openGate(state, id),
      ...follow(state, id, wrong),
      ...copied(state, id),
      ...applyRule(state, id, wrong),
    ]),
    ...open(state, bounds),
    ...appoint(state, wrong),
    ...changeRule(state, bounds, wrong),
  ];
}

function write(state: State, id: number, { writes }: Bounds): Steps {
  const { up, primary, gate, wal } = nodeOf(state, id);
  if (!up || !primary || !gate || state.written >= writes) return [];
  const name = WRITES[state.written] as string;
  const after = { ...withNode(state, id, { wal: wal + name }), written: state.written + 1 };
  return [{ label: `write ${name} on ${id}`, state: after }];
}

/** One record further, with the timeline it stands on. */
function replicate(state: State, id: number): Steps {
  const node = nodeOf(state, id);
  if (!node.up || node.upstream === 0) return [];
  const from = nodeOf(state, node.upstream);
  if (!from.up || !canStream(node, from) || from.wal.length <= node.wal.length) return [];
  const wal = node.wal + from.wal[node.wal.length];
  const reached = from.history.filter((one) => Number(one.split("@")[1]) < wal.length);
  const history = reached.length > node.history.length ? reached : node.history;
  const after = withNode(state, id, { wal, history });
  return [{ label: `${id} replicates from ${node.upstream}`, state: after }];
}

function acknowledge(state: State, id: number, wrong: Wrong): Steps {
  const { up, primary, wal, k } = nodeOf(state, id);
  if (!up || !primary) return [];
  return [...wal].flatMap((name, at) => {
    if (!WRITES.includes(name) || state.acked.includes(name)) return [];
    const by = confirmers(state, id, at + 1);
    if (by.length < (wrong.oneAckLess ? k - 1 : k)) return [];
    const liar = by.find((one) => nodeOf(state, one).wal[at] !== name);
    const fault = liar === undefined ? null : `D9: ${liar} confirms write ${name} and lacks it`;
    const acked = [...state.acked, name].sort().join("");
    return [{ label: `${name} acknowledged by ${id}`, state: { ...state, acked, fault } }];
  });
}

function crash(state: State, id: number, { crashes }: Bounds): Steps {
  if (!nodeOf(state, id).up || state.crashes >= crashes) return [];
  const down = withNode(state, id, { up: false, primary: false, upstream: 0, gate: false });
  return [{ label: `${id} crashes`, state: { ...down, crashes: state.crashes + 1 } }];
}

/** It comes up read-only and follows nobody; a report must be proved anew. An unfinished copy never starts (H04). */
function restart(state: State, id: number, { restarts }: Bounds): Steps {
  const { up, marked } = nodeOf(state, id);
  if (up || marked || state.restarts >= restarts) return [];
  const after = withNode(state, id, { up: true, report: null });
  return [{ label: `${id} starts`, state: { ...after, restarts: state.restarts + 1 } }];
}

/** Its store applies what is committed, whether its servers and its worker run or not. */
function learn(state: State, id: number): Steps {
  const node = nodeOf(state, id);
  if (node.learnt >= state.commits) return [];
  const pledge = Math.max(node.pledge, state.opened);
  return [{ label: `${id} learns`, state: withNode(state, id, { learnt: state.commits, pledge }) }];
}

/** The receiver is stopped and proved gone, a primary is fenced; then, and only then, it reports. */
function report(state: State, id: number, wrong: Wrong): Steps {
  const node = nodeOf(state, id);
  const made = node.report?.epoch === state.opened;
  if (!isOpen(state) || !node.up || node.marked || node.pledge !== state.opened || made) return [];
  const report = {
    epoch: state.opened,
    history: historyEpoch(state, node, wrong),
    length: node.wal.length,
  };
  const upstream = wrong.keepReceiving ? node.upstream : 0;
  const after = withNode(state, id, { report, upstream, primary: false, gate: false });
  return [{ label: `${id} reports`, state: after }];
}

/** Once an epoch, and only while the pledge allows it: what was begun is noted before it is done (H46). */
function promote(state: State, id: number, wrong: Wrong): Steps {
  const node = nodeOf(state, id);
  const { epoch, node: appointed, timeline } = newestOf(state);
  const may = appointed === id && node.up && node.learnt === state.commits && !isOpen(state);
  if (!may || node.pledge !== epoch || node.followed === epoch) return [];
  const next = wrong.timelinesByChance ? ownTimeline(node.history) + 1 : timeline;
  const history = [...node.history, `${next}@${node.wal.length}`];
  const after = withNode(state, id, {
    primary: true,
    gate: false,
    upstream: 0,
    followed: epoch,
    report: null,
    history,
    wal: node.wal + epoch,
  });
  return [{ label: `${id} promotes for epoch ${epoch}`, state: after }];
}

const ownTimeline = (history: readonly string[]) => Number(history.at(-1)?.split("@")[0]);

/** k standbys hold the stamp, so everything before it. */
function openGate(state: State, id: number): Steps {
  const { up, primary, gate, wal, followed, k } = nodeOf(state, id);
  const stamp = wal.indexOf(String(followed)) + 1;
  if (!up || !primary || gate || confirmers(state, id, stamp).length < k) return [];
  return [{ label: `${id} opens its gate`, state: withNode(state, id, { gate: true }) }];
}

/** Point at the appointed primary; who has diverged from it begins a copy. */
function follow(state: State, id: number, wrong: Wrong): Steps {
  const node = nodeOf(state, id);
  const { epoch, node: primary } = newestOf(state);
  const may = node.up && node.learnt === state.commits && !isOpen(state) && primary !== id;
  if (!may || node.pledge > epoch || (node.followed === epoch && node.upstream === primary))
    return [];
  if (!isDiverged(state, id, wrong)) {
    const points = { upstream: primary, followed: epoch, primary: false, gate: false };
    return [{ label: `${id} follows ${primary}`, state: withNode(state, id, points) }];
  }
  const source = nodeOf(state, primary);
  if (!source.up || !source.primary || source.followed !== epoch) return [];
  const begun = { marked: true, primary: false, gate: false, upstream: 0, report: null };
  return [{ label: `${id} begins a copy of ${primary}`, state: withNode(state, id, begun) }];
}

/** A copy under way ends, from whoever is primary of the newest epoch now. */
function copied(state: State, id: number): Steps {
  const node = nodeOf(state, id);
  const { epoch, node: primary } = newestOf(state);
  const source = nodeOf(state, primary);
  const ready = source.up && source.primary && source.followed === epoch && !isOpen(state);
  if (!node.marked || !ready || node.pledge > epoch || primary === id) return [];
  const { wal, history } = source;
  const copy = { marked: false, up: true, wal, history, upstream: primary, followed: epoch };
  return [{ label: `${id} is a copy of ${primary}`, state: withNode(state, id, copy) }];
}

/** Any doubt may open an epoch, also a false one. */
function open(state: State, { epochs }: Bounds): Steps {
  if (state.opened > epochs || isOpen(state)) return [];
  const opened = state.opened + 1;
  return [
    { label: `epoch ${opened} opens`, state: { ...state, opened, commits: state.commits + 1 } },
  ];
}

function appoint(state: State, wrong: Wrong): Steps {
  if (!isOpen(state)) return [];
  return appointments(state, wrong).map((node) => {
    const from = nodeOf(state, node).report?.length ?? 0;
    const highest = Math.max(...state.epochs.map(({ timeline }) => timeline));
    const own = ownTimeline(nodeOf(state, node).history);
    const timeline = (wrong.timelinesByChance ? own : highest) + 1;
    const epochs = [...state.epochs, { epoch: state.opened, node, timeline, from }];
    const after = { ...state, epochs, commits: state.commits + 1 };
    return { label: `${node} is appointed for epoch ${state.opened}`, state: after };
  });
}

/** The committed rule moves in two steps; the second needs the new one in force on the primary (H17, H18). */
function changeRule(state: State, { towards }: Bounds, wrong: Wrong): Steps {
  if (towards === undefined || isOpen(state)) return [];
  const { nextRule, rule } = state;
  if (nextRule === null) {
    if (rule === towards) return [];
    const next = rule + Math.sign(towards - rule);
    const commits = state.commits + 1;
    return [{ label: `rule ${next} is next`, state: { ...state, nextRule: next, commits } }];
  }
  const { node, epoch } = newestOf(state);
  const primary = nodeOf(state, node);
  const leads = primary.up && primary.primary && primary.followed === epoch;
  const held = confirmers(state, node, primary.mark).length >= nextRule;
  if (!wrong.letGoFirst && !(leads && primary.k === nextRule && held)) return [];
  const after = { ...state, rule: nextRule, nextRule: null, commits: state.commits + 1 };
  return [{ label: `rule ${nextRule} binds alone`, state: after }];
}

/** A server's own list follows the log as its store has learnt it; a primary of the past is fenced instead. */
function applyRule(state: State, id: number, wrong: Wrong): Steps {
  const node = nodeOf(state, id);
  const { epoch, node: primary } = newestOf(state);
  const past = node.primary && (primary !== id || node.followed !== epoch || isOpen(state));
  const loosened = wrong.loosenedFirst && state.nextRule === null && node.k > 0;
  const k = loosened ? node.k - 1 : (state.nextRule ?? state.rule);
  if (!node.up || past || node.learnt !== state.commits || node.k === k) return [];
  const after = withNode(state, id, { k, mark: node.primary ? node.wal.length : 0 });
  return [{ label: `${id} applies rule ${k}`, state: after }];
}
