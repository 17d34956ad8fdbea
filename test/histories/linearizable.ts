/**
 * Whether what clients saw of one object is linearizable: the search of Wing and Gong ("Testing and verifying
 * concurrent objects", 1993) with the memo of Lowe ("Testing for linearizability", 2017), laid out as in Porcupine.
 *
 * Calls and returns stand in one linked list, in order of time. An operation is tried where its call stands before
 * every return that is left; then both leave the list, and come back when nothing follows.
 */

/** An operation's time; one whose outcome is unknown may take effect at any time later: it ends at infinity. */
export interface Interval {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What the object would do if it served one call at a time. */
export interface Model<State, Operation> {
  readonly initial: State;
  /** The state afterwards; undefined: the operation cannot have had its answer here. */
  step(state: State, operation: Operation): State | undefined;
  /** Equal for equal states. */
  name(state: State): string;
}

/** `undecided`: the search met its own limit, which must count as a failure. */
export type Verdict = "linearizable" | "not linearizable" | "undecided";

export interface Search<Operation> {
  readonly verdict: Verdict;
  /** The longest order that was possible; what is missing from it is where to look. */
  readonly longest: readonly Operation[];
}

/** A call or return; `mate` is the return of a call. */
interface Entry {
  readonly operation: number;
  readonly mate: Entry | undefined;
  before: Entry | undefined;
  after: Entry | undefined;
}

interface Step<State> {
  readonly call: Entry;
  readonly state: State;
  readonly done: bigint;
}

const STEPS = 2_000_000;

/** Search for an order in which the model gives every answer that was seen. */
export function search<State, Operation extends Interval>(
  model: Model<State, Operation>,
  operations: readonly Operation[],
  limit = STEPS,
): Search<Operation> {
  const head = linked(operations);
  const seen = new Set<string>();
  const taken: Step<State>[] = [];
  let longest: readonly number[] = [];
  let state = model.initial;
  let done = 0n;
  let entry = head.after;
  for (let steps = 0; head.after !== undefined; steps++) {
    if (steps >= limit) return { verdict: "undecided", longest: named(operations, longest) };
    if (entry?.mate !== undefined) {
      const next = model.step(state, operations[entry.operation] as Operation);
      const after = done | (1n << BigInt(entry.operation));
      const place = `${after.toString(36)} ${next === undefined ? "" : model.name(next)}`;
      if (next === undefined || seen.has(place)) {
        entry = entry.after;
        continue;
      }
      seen.add(place);
      taken.push({ call: entry, state, done });
      if (taken.length > longest.length) longest = taken.map(({ call }) => call.operation);
      [state, done] = [next, after];
      lift(entry);
      entry = head.after;
      continue;
    }
    // A return: what is left cannot come before it.
    const last = taken.pop();
    if (last === undefined) {
      return { verdict: "not linearizable", longest: named(operations, longest) };
    }
    ({ state, done } = last);
    unlift(last.call);
    entry = last.call.after;
  }
  return { verdict: "linearizable", longest: named(operations, longest) };
}

const named = <Operation>(operations: readonly Operation[], places: readonly number[]) =>
  places.map((place) => operations[place] as Operation);

/** The head of the list. At one moment calls come first: whoever touches another ran beside it. */
function linked(operations: readonly Interval[]): Entry {
  const entries = operations.flatMap(({ startedAt, endedAt }, operation) => {
    const back: Entry = { operation, mate: undefined, before: undefined, after: undefined };
    const call: Entry = { operation, mate: back, before: undefined, after: undefined };
    return [
      { at: startedAt, entry: call },
      { at: endedAt, entry: back },
    ];
  });
  entries.sort((a, b) =>
    a.at === b.at
      ? Number(a.entry.mate === undefined) - Number(b.entry.mate === undefined)
      : a.at - b.at,
  );
  const head: Entry = { operation: -1, mate: undefined, before: undefined, after: undefined };
  let last = head;
  for (const { entry } of entries) {
    entry.before = last;
    last.after = entry;
    last = entry;
  }
  return head;
}

function lift(call: Entry): void {
  for (const entry of [call, call.mate as Entry]) {
    (entry.before as Entry).after = entry.after;
    if (entry.after !== undefined) entry.after.before = entry.before;
  }
}

/** In the other order than they left. */
function unlift(call: Entry): void {
  for (const entry of [call.mate as Entry, call]) {
    (entry.before as Entry).after = entry;
    if (entry.after !== undefined) entry.after.before = entry;
  }
}
