/**
 * Whether a log is one: a single order, the same on every node, everything that was acknowledged in it once, in the
 * order of real time. Linear scans.
 */
import type { Interval } from "./linearizable.ts";

/** What asks for an entry did, all under one request id, until one was acknowledged or nobody asked again. */
export interface Put extends Interval {
  readonly requestId: string;
  readonly node: number;
  /** Its place, when it was acknowledged; then `endedAt` is when. */
  readonly index?: number;
  /** Each time a server said that nothing was proposed. */
  readonly refused: boolean;
}

export interface LogEntry {
  readonly index: number;
  readonly requestId: string | null;
  readonly data: string;
}

/** One look at a node's log, from the last place seen there on. */
export interface Look extends Interval {
  readonly node: number;
  /** When its session began: the node has lived since. */
  readonly connectedAt: number;
  readonly entries: readonly LogEntry[];
}

export type LogClass =
  | "differs between nodes"
  | "went back"
  | "lost"
  | "elsewhere"
  | "twice"
  | "invented"
  | "against real time"
  | "not applied where it was asked";

export interface LogAnomaly {
  readonly class: LogClass;
  readonly what: string;
}

const text = ({ index, requestId, data }: LogEntry) => `${index} ${requestId} ${data}`;

/** Judge the log as every node has it in the end, and the looks that were taken meanwhile. */
export function logAnomalies(
  puts: readonly Put[],
  finals: ReadonlyMap<number, readonly LogEntry[]>,
  looks: readonly Look[] = [],
): LogAnomaly[] {
  const [log = []] = finals.values();
  return [
    ...[...finals].flatMap(([node, entries]) => differences(log, entries, node)),
    ...backwards(looks, log),
    ...places(puts, log),
    ...againstRealTime(puts.flatMap((put) => dated(put, log))),
    ...notApplied(puts, looks),
  ];
}

function differences(
  log: readonly LogEntry[],
  other: readonly LogEntry[],
  node: number,
): LogAnomaly[] {
  const most = Math.max(log.length, other.length);
  for (let at = 0; at < most; at++) {
    const [here, there] = [log[at], other[at]].map((one) =>
      one === undefined ? "nothing" : text(one),
    );
    if (here !== there) {
      return [
        { class: "differs between nodes", what: `at ${at}: ${here}; on node ${node}: ${there}` },
      ];
    }
  }
  return [];
}

/** What a node showed, one look after the other, must be how its log begins. */
function backwards(looks: readonly Look[], log: readonly LogEntry[]): LogAnomaly[] {
  const byNode = Map.groupBy(looks, ({ node }) => node);
  return [...byNode].flatMap(([node, all]): LogAnomaly[] => {
    const shown = all
      .toSorted((a, b) => a.startedAt - b.startedAt)
      .flatMap(({ entries }) => entries);
    const wrong = shown.findIndex(
      (one, at) => log[at] === undefined || text(log[at]) !== text(one),
    );
    if (wrong < 0) return [];
    const [was, is] = [shown[wrong] as LogEntry, log[wrong]];
    const what = `node ${node} showed ${text(was)} at ${wrong}, it is ${is === undefined ? "nothing" : text(is)}`;
    return [{ class: "went back", what }];
  });
}

function places(puts: readonly Put[], log: readonly LogEntry[]): LogAnomaly[] {
  const found: LogAnomaly[] = [];
  const there = new Map<string, number>();
  const asked = new Map(puts.map((put) => [put.requestId, put]));
  for (const { requestId, index } of log) {
    if (requestId === null) continue;
    const put = asked.get(requestId);
    if (there.has(requestId))
      found.push({ class: "twice", what: `${requestId}, again at ${index}` });
    else there.set(requestId, index);
    if (put === undefined || put.refused) {
      const why =
        put === undefined ? "nobody asked for it" : "a server said that nothing was proposed";
      found.push({ class: "invented", what: `${requestId} at ${index}: ${why}` });
    }
  }
  for (const { requestId, index } of puts) {
    if (index === undefined || there.get(requestId) === index) continue;
    const at = there.get(requestId);
    found.push({
      class: at === undefined ? "lost" : "elsewhere",
      what: `${requestId}, acknowledged at ${index}, is ${at === undefined ? "nowhere" : `at ${at}`}`,
    });
  }
  return found;
}

/** A change with its place in the log, from when it was asked for to when that was told. */
export interface Dated extends Interval {
  readonly index: number;
  readonly name: string;
}

function dated(put: Put, log: readonly LogEntry[]): Dated[] {
  const index = put.index ?? log.find(({ requestId }) => requestId === put.requestId)?.index;
  if (index === undefined) return [];
  const endedAt = put.index === undefined ? Number.POSITIVE_INFINITY : put.endedAt;
  return [{ index, name: put.requestId, startedAt: put.startedAt, endedAt }];
}

/** No place before one that had been acknowledged when it was asked for; none given twice. */
export function againstRealTime(changes: readonly Dated[]): LogAnomaly[] {
  const found: LogAnomaly[] = [];
  const byEnd = changes.toSorted((a, b) => a.endedAt - b.endedAt);
  let next = 0;
  let newest: Dated | undefined;
  for (const one of changes.toSorted((a, b) => a.startedAt - b.startedAt)) {
    for (; (byEnd[next]?.endedAt ?? Number.POSITIVE_INFINITY) < one.startedAt; next++) {
      const over = byEnd[next] as Dated;
      if (newest === undefined || over.index > newest.index) newest = over;
    }
    if (newest !== undefined && one.index <= newest.index) {
      const what = `${one.name} at ${one.index} was asked for when ${newest.name} stood at ${newest.index}`;
      found.push({ class: "against real time", what });
    }
  }
  const given = new Map<number, string>();
  for (const { index, name } of changes) {
    const other = given.get(index);
    if (other !== undefined) found.push({ class: "twice", what: `${index}: ${other} and ${name}` });
    given.set(index, name);
  }
  return found;
}

/** A look on the node that had acknowledged shows it, if the node has lived since: its store may be another (H56). */
function notApplied(puts: readonly Put[], looks: readonly Look[]): LogAnomaly[] {
  const byNode = Map.groupBy(looks, ({ node }) => node);
  return [...byNode].flatMap(([node, all]) => {
    const told = puts
      .flatMap(({ index, ...put }) =>
        index !== undefined && put.node === node ? [{ ...put, index }] : [],
      )
      .toSorted((a, b) => a.endedAt - b.endedAt);
    const found: LogAnomaly[] = [];
    const shown = new Set<number>();
    let next = 0;
    for (const { startedAt, connectedAt, entries } of all.toSorted(
      (a, b) => a.startedAt - b.startedAt,
    )) {
      for (const { index } of entries) shown.add(index);
      for (; (told[next]?.endedAt ?? Number.POSITIVE_INFINITY) < startedAt; next++) {
        const { index, requestId, endedAt } = told[next] as (typeof told)[number];
        if (shown.has(index) || endedAt < connectedAt) continue;
        const what = `${requestId} at ${index}: node ${node} acknowledged it, and did not show it`;
        found.push({ class: "not applied where it was asked", what });
      }
    }
    return found;
  });
}
