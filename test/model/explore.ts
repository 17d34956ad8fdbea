/** Breadth-first search: every state that can be reached, each judged once, and the shortest way to a bad one. */

export interface Step<State> {
  readonly label: string;
  readonly state: State;
}

export interface Model<State> {
  readonly initial: State;
  /** Everything that may happen next. */
  readonly next: (state: State) => readonly Step<State>[];
  /** The same for states that differ in names only. */
  readonly key: (state: State) => string;
  /** The invariant that does not hold, in words; undefined when all do. */
  readonly broken: (state: State) => string | undefined;
  /** What a state is an example of, so that a search can show what it has been through. */
  readonly marks?: (state: State) => readonly string[];
}

export interface Explored {
  readonly states: number;
  readonly marks: ReadonlySet<string>;
  /** The shortest run to a broken invariant. */
  readonly counterexample?: { readonly broken: string; readonly run: readonly string[] };
}

/** Throws beyond `limit` states: a search that was cut short proves nothing. */
export function explore<State>(model: Model<State>, limit = 1_000_000): Explored {
  const marks = new Set<string>();
  const seen = new Map<string, { readonly from: string | undefined; readonly label: string }>();
  let frontier: { readonly key: string; readonly state: State }[] = [];
  const visit = (state: State, from: string | undefined, label: string): string | undefined => {
    const key = model.key(state);
    if (seen.has(key)) return undefined;
    if (seen.size >= limit) throw new Error(`more than ${limit} states`);
    seen.set(key, { from, label });
    for (const mark of model.marks?.(state) ?? []) marks.add(mark);
    frontier.push({ key, state });
    return model.broken(state);
  };
  const runTo = (key: string) => {
    const run: string[] = [];
    for (let at = seen.get(key); at?.from !== undefined; at = seen.get(at.from)) run.push(at.label);
    return run.reverse();
  };

  visit(model.initial, undefined, "begin");
  while (frontier.length > 0) {
    const now = frontier;
    frontier = [];
    for (const { key, state } of now) {
      for (const { label, state: after } of model.next(state)) {
        const broken = visit(after, key, label);
        if (broken === undefined) continue;
        const counterexample = { broken, run: [...runTo(key), label] };
        return { states: seen.size, marks, counterexample };
      }
    }
  }
  return { states: seen.size, marks };
}
