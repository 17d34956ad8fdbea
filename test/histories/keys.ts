/**
 * Whether what clients saw of a key-value store is linearizable, key by key: put, get, delete, compare-and-set; and
 * whether the versions of a key only grow.
 */
import { type Interval, type Model, search } from "./linearizable.ts";

/** What a key holds; version 0 and null: it is absent. */
export interface Held {
  readonly version: number;
  readonly value: string | null;
}

/** Without an answer its outcome is unknown. Each value is written once. */
export type KeyAction =
  | { readonly f: "get"; readonly answer: Held }
  | { readonly f: "put"; readonly value: string; readonly answer?: { readonly version: number } }
  | { readonly f: "delete"; readonly answer?: { readonly existed: boolean } }
  | {
      readonly f: "cas";
      readonly expected: number;
      readonly value: string | null;
      readonly answer?: Held & { readonly swapped: boolean };
    };

/** One call, which did not fail for certain: of such a one, and of a read without an answer, nothing is kept. */
export interface KeyOperation extends Interval {
  readonly key: string;
  readonly action: KeyAction;
}

export interface KeyAnomaly {
  readonly class: "not linearizable" | "undecided";
  readonly key: string;
  readonly what: string;
}

export const ABSENT: Held = { version: 0, value: null };
/** Nobody was ever told it, so nobody can have expected it. */
const UNTOLD = -1;

/** The version of each value that anybody was told. */
function versionsOf(operations: readonly KeyOperation[]): ReadonlyMap<string, number> {
  const told = new Map<string, number>();
  for (const { action } of operations) {
    if (action.answer === undefined || action.f === "delete") continue;
    const value = action.f === "put" ? action.value : action.answer.value;
    if (value !== null) told.set(value, action.answer.version);
  }
  return told;
}

/** A key, and the newest version that was ever told of it. */
interface State extends Held {
  readonly newest: number;
}

function keyModel(told: ReadonlyMap<string, number>): Model<State, KeyOperation> {
  return {
    initial: { ...ABSENT, newest: 0 },
    name: ({ version, value, newest }) => `${version} ${value} ${newest}`,
    step: (state, operation) => {
      const after = answered(state, operation.action, (value) => told.get(value) ?? UNTOLD);
      // Versions only grow: a told one that does not has no place here.
      if (after === undefined || after === state) return after && state;
      if (after.version > 0 && after.version <= state.newest) return undefined;
      return { ...after, newest: Math.max(state.newest, after.version) };
    },
  };
}

/** What is held afterwards, if the answer is right. */
function answered(
  held: Held,
  action: KeyAction,
  versionOf: (value: string) => number,
): Held | undefined {
  const holding = (value: string | null): Held =>
    value === null ? ABSENT : { version: versionOf(value), value };
  switch (action.f) {
    case "get":
      return same(held, action.answer) ? held : undefined;
    case "put": {
      const next = holding(action.value);
      const { answer } = action;
      return answer === undefined || answer.version === next.version ? next : undefined;
    }
    case "delete": {
      const { answer } = action;
      return answer === undefined || answer.existed === (held.version !== 0) ? ABSENT : undefined;
    }
    case "cas": {
      const swaps = held.version === action.expected;
      const next = swaps ? holding(action.value) : held;
      const { answer } = action;
      if (answer === undefined) return next;
      return answer.swapped === swaps && same(next, answer) ? next : undefined;
    }
  }
}

const same = (a: Held, b: Held) => a.version === b.version && a.value === b.value;

function isUnseen({ action }: KeyOperation, told: ReadonlyMap<string, number>): boolean {
  if (action.f !== "put" && action.f !== "cas") return false;
  return action.answer === undefined && action.value !== null && !told.has(action.value);
}

/** What cannot be: at most one anomaly for each key. */
export function keyAnomalies(operations: readonly KeyOperation[], limit?: number): KeyAnomaly[] {
  const byKey = Map.groupBy(operations, ({ key }) => key);
  return [...byKey].flatMap(([key, all]): KeyAnomaly[] => {
    const told = versionsOf(all);
    const model = keyModel(told);
    // What nobody was ever shown may have come after everything else: often that is all there is to it.
    const shown = all.filter((one) => !isUnseen(one, told));
    if (search(model, shown, limit).verdict === "linearizable") return [];
    const { verdict, longest } = search(model, all, limit);
    if (verdict === "linearizable") return [];
    const missing = all.filter((one) => !longest.includes(one)).map(describeKeyOperation);
    const what = `${longest.length} of ${all.length} operations fit; not: ${missing.slice(0, 8).join("; ")}`;
    return [{ class: verdict, key, what }];
  });
}

/** On one line. */
export function describeKeyOperation({ key, action, startedAt, endedAt }: KeyOperation): string {
  const { f, answer, ...asked } = { answer: undefined, ...action };
  const told = answer === undefined ? "unknown" : JSON.stringify(answer);
  return `${f} ${key} ${JSON.stringify(asked)} = ${told}, ${Math.round(startedAt)} to ${Math.round(endedAt)}`;
}
