import { describe, expect, test } from "vitest";
import {
  electPrimary,
  ewma,
  lagBytesOf,
  type Mode,
  type NodeView,
  route,
  seekDelay,
} from "../../src/client/routing.ts";

const node = (name: string, more: Partial<NodeView> = {}): NodeView => ({
  name,
  reachable: true,
  role: "standby",
  writable: false,
  latencyMs: 1,
  lsn: 100n,
  lagMs: 0,
  timeline: undefined,
  epoch: undefined,
  inUse: 0,
  ...more,
});
const primary = (name: string, more: Partial<NodeView> = {}) =>
  node(name, { role: "primary", writable: true, timeline: 1, ...more });
const names = (nodes: readonly NodeView[]) => nodes.map(({ name }) => name);
const none: ReadonlySet<string> = new Set();

const P = primary("p");
const S = node("s");
const T = node("t", { latencyMs: 9 });
const DOWN = { reachable: false };

describe("each mode in each topology", () => {
  const cases: readonly [Mode, string, readonly NodeView[], readonly string[]][] = [
    ["read-write", "all there", [P, S, T], ["p"]],
    ["read-write", "no standby", [P], ["p"]],
    ["read-write", "no primary", [S, T], []],
    ["read-write", "all down", [node("s", DOWN), primary("p", DOWN)], []],
    ["read-only", "all there", [P, S, T], ["s", "t"]],
    ["read-only", "no standby", [P], []],
    ["read-only", "no primary", [S, T], ["s", "t"]],
    ["read-only", "all down", [node("s", DOWN)], []],
    ["prefer-standby", "all there", [P, S, T], ["s", "t", "p"]],
    ["prefer-standby", "no standby", [P], ["p"]],
    ["prefer-standby", "no primary", [S, T], ["s", "t"]],
    ["prefer-standby", "all down", [primary("p", DOWN)], []],
    ["any", "all there", [T, S, primary("p", { latencyMs: 0.1 })], ["s", "p", "t"]],
    ["any", "no standby", [P], ["p"]],
    ["any", "no primary", [T, S], ["s", "t"]],
    ["any", "all down", [], []],
  ];
  test.each(cases)("%s, %s", (mode, _, nodes, expected) => {
    const found = route(nodes, electPrimary(nodes), { mode, avoid: none }, {});
    expect(names(found).toSorted()).toEqual([...expected].toSorted());
    if (mode !== "any") expect(names(found)).toEqual(expected);
    if (expected.includes("t")) expect(names(found).indexOf("t")).toBeGreaterThan(0);
  });
});

describe("who takes the writes", () => {
  test("of two that say primary the higher epoch wins, whatever their timelines", () => {
    const old = primary("old", { epoch: 3n, timeline: 9 });
    const now = primary("now", { epoch: 4n, timeline: 5 });
    expect(electPrimary([old, now])?.name).toBe("now");
    expect(electPrimary([now, old])?.name).toBe("now");
  });

  test("without epochs the higher timeline", () => {
    expect(electPrimary([primary("a"), primary("b", { timeline: 2 })])?.name).toBe("b");
  });

  test("a primary that is read-only is none, and no standby either", () => {
    const frozen = primary("p", { writable: false });
    expect(electPrimary([frozen])).toBeUndefined();
    expect(route([frozen], undefined, { mode: "read-only", avoid: none }, {})).toEqual([]);
  });
});

describe("among standbys", () => {
  const reads = (nodes: readonly NodeView[], more = {}, limits = {}) =>
    names(route(nodes, electPrimary(nodes), { mode: "read-only", avoid: none, ...more }, limits));

  test("the near ones share by least in use, within 20 % or 1 ms; the far one comes last", () => {
    const busy = node("busy", { latencyMs: 10, inUse: 3 });
    const free = node("free", { latencyMs: 11.9 });
    const far = node("far", { latencyMs: 12.1 });
    expect(reads([busy, far, free])).toEqual(["free", "busy", "far"]);
    const close = [node("a", { latencyMs: 0.1, inUse: 1 }), node("b", { latencyMs: 1 })];
    expect(reads(close)).toEqual(["b", "a"]);
  });

  test("who lags more than allowed gets no reads", () => {
    const slow = node("slow", { lsn: 10n, lagMs: 900 });
    const all = [primary("p", { lsn: 1000n }), slow, node("s", { lsn: 990n })];
    expect(reads(all, {}, { maxLagBytes: 100 })).toEqual(["s"]);
    expect(reads(all, {}, { maxLagMs: 500 })).toEqual(["s"]);
    expect(lagBytesOf(slow, all[0])).toBe(990);
  });

  test("only who has replayed an LSN may answer a read that needs it", () => {
    expect(reads([node("s", { lsn: 5n }), node("t", { lsn: 7n })], { minLsn: 6n })).toEqual(["t"]);
  });

  test("who failed this call comes last", () => {
    expect(reads([S, T], { avoid: new Set(["s"]) })).toEqual(["t", "s"]);
  });

  test("a pin is that node or nobody", () => {
    expect(reads([P, S, T], { pin: "t" })).toEqual(["t"]);
    expect(reads([P, node("t", DOWN)], { pin: "t" })).toEqual([]);
  });
});

test("a slow node's average passes its neighbours' within five pings, and comes back as fast", () => {
  let latency: number | undefined;
  for (const sample of [1, 1, 1]) latency = ewma(latency, sample);
  for (const sample of [50, 50, 50, 50, 50]) latency = ewma(latency, sample);
  expect(latency).toBeGreaterThan(40);
  for (let round = 0; round < 15; round += 1) latency = ewma(latency, 1);
  expect(latency).toBeLessThan(2);
});

test("a primary is sought eagerly first, patiently later", () => {
  expect([0, 400, 1600, 60_000].map(seekDelay)).toEqual([50, 50, 200, 500]);
});
