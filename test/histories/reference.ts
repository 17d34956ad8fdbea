/** Histories that are valid, because something obviously right made them. */
import type { Random } from "../support/random.ts";
import { ABSENT, type Held, type KeyAction, type KeyOperation } from "./keys.ts";
import { ISOLATIONS, type Isolation, type ListTransaction, type Micro } from "./lists.ts";
import type { LogEntry, Look, Put } from "./log.ts";
import { type ReadHistory, rangesOf, type SetReading } from "./reads.ts";
import type { Increment } from "./scans.ts";

/** One at a time, at the moments 10, 20, 30, …, each asked for a while before and told a while after. */
function around(moment: number, random: Random, reach: number) {
  return { startedAt: moment - random.int(0, reach), endedAt: moment + random.int(0, reach) };
}

export interface ListRun {
  readonly history: ListTransaction[];
  readonly final: Map<number, number[]>;
}

/** Transactions one after the other: valid at every level, whatever they are. */
export function serialLists(random: Random, count: number): ListRun {
  const final = new Map<number, number[]>();
  const history: ListTransaction[] = [];
  let values = 0;
  for (let place = 0; place < count; place++) {
    const outcome = random.weighted({ ok: 8, fail: 1, unknown: 1 });
    const happens = outcome === "ok" || (outcome === "unknown" && random.chance(0.5));
    const state = new Map(final);
    const micros = Array.from({ length: random.int(1, 4) }, (): Micro => {
      const key = random.int(1, 3);
      const items = state.get(key) ?? [];
      if (random.chance(0.5)) return { f: "read", key, value: items };
      values += 1;
      state.set(key, [...items, values]);
      return { f: "append", key, value: values };
    });
    if (happens) for (const [key, items] of state) final.set(key, items);
    const times = around((place + 1) * 10, random, 25);
    history.push({ process: place, isolation: random.pick(ISOLATIONS), micros, outcome, ...times });
  }
  return { history, final };
}

interface Open {
  readonly isolation: Isolation;
  readonly startedAt: number;
  readonly micros: Micro[];
  /** All lists as they were when it began. */
  readonly snapshot: ReadonlyMap<number, readonly number[]>;
  readonly own: Map<number, number[]>;
}

/**
 * Transactions beside each other, over versions and locks of rows as PostgreSQL has them: whoever meets a lock, or at
 * repeatable read a newer version than its snapshot's, fails.
 */
export function interleavedLists(random: Random, count: number): ListRun {
  const final = new Map<number, number[]>();
  const history: ListTransaction[] = [];
  const open: Open[] = [];
  let [now, values] = [0, 0];

  function end(one: Open, outcome: "ok" | "fail" | "unknown"): void {
    open.splice(open.indexOf(one), 1);
    const { isolation, startedAt, micros } = one;
    if (outcome !== "fail") {
      for (const [key, items] of one.own) final.set(key, [...(final.get(key) ?? []), ...items]);
    }
    history.push({ process: startedAt, isolation, micros, outcome, startedAt, endedAt: now });
  }

  function act(one: Open): void {
    const key = random.int(1, 3);
    const own = one.own.get(key) ?? [];
    const seen = (one.isolation === "read committed" ? final : one.snapshot).get(key) ?? [];
    if (random.chance(0.5)) {
      one.micros.push({ f: "read", key, value: [...seen, ...own] });
      return;
    }
    const locked = open.some((other) => other !== one && other.own.has(key));
    const stale = own.length === 0 && seen.length < (final.get(key)?.length ?? 0);
    if (locked || stale) {
      end(one, "fail");
      return;
    }
    values += 1;
    one.own.set(key, [...own, values]);
    one.micros.push({ f: "append", key, value: values });
  }

  while (history.length < count) {
    now += 1;
    if (open.length < 4) {
      const isolation = random.pick(["read committed", "repeatable read"] as const);
      open.push({
        isolation,
        startedAt: now,
        micros: [],
        snapshot: new Map(final),
        own: new Map(),
      });
    }
    const one = random.pick(open);
    if (one.micros.length < 3) act(one);
    else end(one, random.weighted({ ok: 8, fail: 1, unknown: 1 }));
  }
  for (const one of [...open]) end(one, "fail");
  return { history, final };
}

/** Calls on one key, one at a time; `reach` says how long they take, `doubt` how many are never answered. */
export function serialKeys(
  random: Random,
  count: number,
  { reach = 25, doubt = 0.1 }: { readonly reach?: number; readonly doubt?: number } = {},
): KeyOperation[] {
  let held = ABSENT;
  const told = new Set([0]);
  const all: KeyOperation[] = [];
  for (let place = 1; place <= count; place++) {
    const times = around(place * 10, random, reach);
    const unknown = random.chance(doubt);
    const happens = !unknown || random.chance(0.5);
    // Nobody expects a version that nobody was told.
    const expected =
      told.has(held.version) && random.chance(0.7) ? held.version : random.pick([...told]);
    const { action, after } = call(held, place, { expected, random });
    if (happens) held = after;
    if (!unknown) told.add(after.version);
    if (!unknown) all.push({ key: "x", action, ...times });
    else if (action.f !== "get") {
      const { answer: _, ...asked } = action;
      all.push({ key: "x", action: asked, ...times, endedAt: Number.POSITIVE_INFINITY });
    }
  }
  return all;
}

function call(
  held: Held,
  version: number,
  { expected, random }: { readonly expected: number; readonly random: Random },
): { action: KeyAction; after: Held } {
  const value = `v${version}`;
  const next = { version, value };
  switch (random.weighted({ get: 4, put: 2, delete: 1, cas: 3 })) {
    case "get":
      return { action: { f: "get", answer: held }, after: held };
    case "put":
      return { action: { f: "put", value, answer: { version } }, after: next };
    case "delete":
      return { action: { f: "delete", answer: { existed: held !== ABSENT } }, after: ABSENT };
    case "cas": {
      const swapped = expected === held.version;
      const after = swapped ? next : held;
      return { action: { f: "cas", expected, value, answer: { swapped, ...after } }, after };
    }
  }
}

export interface LogRun {
  readonly puts: Put[];
  readonly looks: Look[];
  readonly finals: Map<number, LogEntry[]>;
}

/** Three nodes that apply one log at their own pace, and are looked at. */
export function serialLog(random: Random, count: number): LogRun {
  const nodes = [1, 2, 3];
  const log: LogEntry[] = [];
  const puts: Put[] = [];
  const looks: Look[] = [];
  const shown = new Map(nodes.map((node) => [node, 0]));
  const applied = new Map(nodes.map((node) => [node, 0]));
  let index = 0;
  for (let place = 1; place <= count; place++) {
    const moment = place * 10;
    const node = random.pick(nodes);
    const requestId = `r${place}`;
    const outcome = random.weighted({ ok: 8, refused: 1, unknown: 1 });
    const times = around(moment, random, 25);
    if (outcome === "ok" || (outcome === "unknown" && random.chance(0.5))) {
      index += random.int(1, 3);
      log.push({ index, requestId, data: requestId });
    }
    const at = outcome === "ok" ? { index } : {};
    if (outcome === "ok") applied.set(node, log.length);
    puts.push({ requestId, node, refused: outcome === "refused", ...times, ...at });
    const where = random.pick(nodes);
    const upTo = random.int(Math.max(shown.get(where) ?? 0, applied.get(where) ?? 0), log.length);
    const entries = log.slice(shown.get(where), upTo);
    looks.push({
      node: where,
      connectedAt: 0,
      startedAt: moment + 1,
      endedAt: moment + 2,
      entries,
    });
    shown.set(where, upTo);
    applied.set(where, upTo);
  }
  return { puts, looks, finals: new Map(nodes.map((node) => [node, [...log]])) };
}

/** What one server has replayed, and the session that reads there. */
interface Replica {
  applied: number[];
  session: number;
}

/**
 * A set that grows on a primary, and three standbys that replay it at their own pace. Now and then one takes over that
 * has all that was acknowledged; what it lacks is lost, and whoever has it begins anew.
 */
export function serialReads(random: Random, count: number): ReadHistory {
  const adds: Increment[] = [];
  const readings: SetReading[] = [];
  const standbys: Replica[] = [1, 2, 3].map((session) => ({ applied: [], session }));
  let [log, sure, sessions]: [number[], number, number] = [[], 0, 4];
  let primary = 4;

  function read(moment: number, server: SetReading["server"], replica: Replica): void {
    const shown = rangesOf(replica.applied.toSorted((a, b) => a - b));
    const times = { startedAt: moment, endedAt: moment + 1 };
    readings.push({ session: replica.session, server, ...times, shown });
  }

  function takeOver(): void {
    const kept = log.slice(0, random.int(sure, log.length));
    for (const one of standbys) {
      if (one.applied.length <= kept.length) continue;
      sessions += 1;
      Object.assign(one, { applied: [], session: sessions });
    }
    sessions += 1;
    [log, sure, primary] = [kept, kept.length, sessions];
  }

  for (let value = 1; value <= count; value++) {
    const moment = value * 10;
    const outcome = random.weighted({ ok: 7, fail: 1, unknown: 2 });
    const happens = outcome === "ok" || (outcome === "unknown" && random.chance(0.7));
    adds.push({ value, outcome, startedAt: moment, endedAt: moment + 3 });
    if (happens) log.push(value);
    if (outcome === "ok") sure = log.length;
    const one = random.pick(standbys);
    one.applied = log.slice(0, random.int(Math.min(one.applied.length, log.length), log.length));
    read(moment + 4, "standby", one);
    // An open gate shows nothing before the cohort has it.
    if (random.chance(0.3)) {
      sure = log.length;
      read(moment + 6, "primary", { applied: log, session: primary });
    }
    if (random.chance(0.1)) takeOver();
  }
  return { adds, readings, final: rangesOf(log), strict: true };
}
