/** Cycles among transactions, named as Adya names them. */
import type { Edge, EdgeKind, Graph } from "./list-graph.ts";
import {
  describeTransaction,
  type ListAnomaly,
  type ListClass,
  type ListTransaction,
} from "./lists.ts";

/** A cycle to look for: it starts with one kind of edge, and goes on with others. */
interface Quest {
  readonly class: ListClass;
  readonly first: EdgeKind;
  readonly rest: readonly EdgeKind[];
  /** Whose edges of kind rw count: a reader of read committed is promised no snapshot. */
  readonly readers?: (one: ListTransaction) => boolean;
  /** Only among these. */
  readonly among?: (one: ListTransaction) => boolean;
  /** No two edges of kind rw in succession: snapshot isolation forbids it (Fekete et al., 2005). */
  readonly apart?: true;
}

const snapshot = ({ isolation }: ListTransaction) => isolation !== "read committed";
const serializable = ({ isolation }: ListTransaction) => isolation === "serializable";

/** In this order: a cycle whose transactions are all in one already found says nothing new. */
const QUESTS: readonly Quest[] = [
  { class: "G0", first: "ww", rest: ["ww"] },
  { class: "G1c", first: "wr", rest: ["ww", "wr"] },
  { class: "G-single", first: "rw", rest: ["ww", "wr"], readers: snapshot },
  { class: "long fork", first: "rw", rest: ["ww", "wr", "rw"], readers: snapshot, apart: true },
  { class: "G2-item", first: "rw", rest: ["ww", "wr", "rw"], among: serializable },
  { class: "G0-realtime", first: "rt", rest: ["ww", "rt"] },
  { class: "G1c-realtime", first: "rt", rest: ["ww", "wr", "rt"] },
  { class: "G-single-realtime", first: "rw", rest: ["ww", "wr", "rt"], readers: snapshot },
];

export function cycleAnomalies(graph: Graph, history: readonly ListTransaction[]): ListAnomaly[] {
  const found: { readonly places: ReadonlySet<number>; readonly anomaly: ListAnomaly }[] = [];
  const edges = insideComponents(graph.edges);
  if (edges.every((all) => all.length === 0)) return [];
  for (const quest of QUESTS) {
    for (const cycle of cyclesOf(quest, edges, history)) {
      const places = new Set(cycle.map(({ from }) => from));
      if (found.some((one) => [...one.places].every((place) => places.has(place)))) continue;
      const steps = cycle.map(
        ({ from, kind }) => `{${describeTransaction(history[from] as ListTransaction)}} ${kind}`,
      );
      found.push({ places, anomaly: { class: quest.class, what: steps.join(" ") } });
    }
  }
  return found.map(({ anomaly }) => anomaly);
}

type Edges = readonly (readonly Edge[])[];

/** Edges that lie on some cycle. */
function insideComponents(edges: Edges): Edges {
  const component = components(edges);
  return edges.map((all) => all.filter(({ from, to }) => component[from] === component[to]));
}

/** At most one in each strongly connected component. */
function cyclesOf(quest: Quest, all: Edges, history: readonly ListTransaction[]): Edge[][] {
  const { first, rest, readers = () => true, among = () => true, apart } = quest;
  const usable = ({ from, to, kind }: Edge) =>
    (kind === first || rest.includes(kind)) &&
    (kind !== "rw" || readers(history[from] as ListTransaction)) &&
    among(history[from] as ListTransaction) &&
    among(history[to] as ListTransaction);
  const inside = insideComponents(all.map((edges) => edges.filter(usable)));
  const component = components(inside);
  const done = new Set<number>();
  return inside.flat().flatMap((edge) => {
    const place = component[edge.from] as number;
    if (edge.kind !== first || done.has(place)) return [];
    const way = wayBack(edge, inside, rest, apart === true);
    if (way === undefined) return [];
    done.add(place);
    return [[edge, ...way]];
  });
}

/** The shortest way from an edge's end to its start. */
function wayBack(
  edge: Edge,
  edges: Edges,
  rest: readonly EdgeKind[],
  apart: boolean,
): Edge[] | undefined {
  interface Step {
    readonly edge: Edge;
    readonly before: Step | undefined;
  }
  const start: Step = { edge, before: undefined };
  const queue = [start];
  const seen = new Set<string>();
  for (const step of queue) {
    const sinceRw = apart && step.edge.kind === "rw";
    for (const next of edges[step.edge.to] ?? []) {
      if (!rest.includes(next.kind) || (sinceRw && next.kind === "rw")) continue;
      const after: Step = { edge: next, before: step };
      if (next.to === edge.from && !(apart && next.kind === "rw")) return unwind(after, start);
      const place = `${next.to} ${apart && next.kind === "rw"}`;
      if (seen.has(place)) continue;
      seen.add(place);
      queue.push(after);
    }
  }
  return undefined;

  function unwind(last: Step, first: Step): Edge[] {
    const way: Edge[] = [];
    for (let at: Step | undefined = last; at !== undefined && at !== first; at = at.before) {
      way.unshift(at.edge);
    }
    return way;
  }
}

/** The strongly connected component of each node (Tarjan, 1972; without recursion: histories are long). */
function components(edges: Edges): number[] {
  const index = new Int32Array(edges.length).fill(-1);
  const low = new Int32Array(edges.length);
  const component = new Array<number>(edges.length).fill(-1);
  const stack: number[] = [];
  let next = 0;
  for (let root = 0; root < edges.length; root++) {
    if (index[root] !== -1) continue;
    const path: { readonly node: number; edge: number }[] = [];
    const enter = (node: number) => {
      index[node] = low[node] = next++;
      stack.push(node);
      path.push({ node, edge: 0 });
    };
    enter(root);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { node } = top;
      const to = edges[node]?.[top.edge++]?.to;
      if (to !== undefined) {
        if (index[to] === -1) enter(to);
        else if (component[to] === -1) {
          low[node] = Math.min(low[node] as number, index[to] as number);
        }
        continue;
      }
      path.pop();
      const above = path.at(-1)?.node;
      if (above !== undefined) low[above] = Math.min(low[above] as number, low[node] as number);
      if (low[node] !== index[node]) continue;
      for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
        component[one] = node;
        if (one === node) break;
      }
    }
  }
  return component;
}
