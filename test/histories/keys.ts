/** Whether what clients saw of a key-value store is linearizable, key by key: put, get, delete, compare-and-set. */
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

function keyModel(told: ReadonlyMap<string, number>): Model<Held, KeyOperation> {
  const holding = (value: string | null): Held =>
    value === null ? ABSENT : { version: told.get(value) ?? UNTOLD, value };
  return {
    initial: ABSENT,
    name: ({ version, value }) => `${version} ${value}`,
    step: (held, { action }) => {
      switch (action.f) {
        case "get":
          return same(held, action.answer) ? held : undefined;
        case "put": {
          const next = holding(action.value);
          return action.answer === undefined || action.answer.version === next.version
            ? next
            : undefined;
        }
        case "delete":
          return action.answer === undefined || action.answer.existed === (held.version !== 0)
            ? ABSENT
            : undefined;
        case "cas": {
          const swaps = held.version === action.expected;
          const next = swaps ? holding(action.value) : held;
          const { answer } = action;
          if (answer === undefined) return next;
          return answer.swapped === swaps && same(next, answer) ? next : undefined;
        }
      }
    },
  };
}

const same = (a: Held, b: Held) => a.version === b.version && a.value === b.value;

/** What cannot be: at most one anomaly for each key. */
export function keyAnomalies(operations: readonly KeyOperation[], limit?: number): KeyAnomaly[] {
  const byKey = Map.groupBy(operations, ({ key }) => key);
  return [...byKey].flatMap(([key, all]): KeyAnomaly[] => {
    const { verdict, longest } = search(keyModel(versionsOf(all)), all, limit);
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
