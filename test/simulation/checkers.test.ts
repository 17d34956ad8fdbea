/** Each check can fail: a hand-made trace for every invariant, which must be named, and one that is in order. */
import { expect, test } from "vitest";
import type { Acceptor } from "../oracle/twin/acceptor.ts";
import { Acceptor as Twin } from "../oracle/twin/acceptor.ts";
import { WHOLE_LOG } from "../oracle/twin/learn-commit.ts";
import { type Call, ControlChecks, type Voter } from "./checkers/control.ts";
import { DataChecks, missedBy } from "./checkers/data.ts";
import type { Engine } from "./engine.ts";
import type { DataServer } from "./model/data-server.ts";
import type { Host } from "./model/host.ts";
import type { Sender } from "./model/senders.ts";
import type { Store } from "./model/store.ts";
import { parseRule, type Rec } from "./model/wal.ts";

const IDS = [1, 2, 3];
const incarnation = (id: number) => `0000000${id}-0000-4000-8000-00000000000${id}`;

interface Entry {
  readonly term: bigint;
  readonly client: string;
}

/** Three nodes whose logs and states are set by hand, and the names of the invariants that were violated. */
function control() {
  const violated: string[] = [];
  const logs = new Map<number, Entry[]>(IDS.map((id) => [id, []]));
  const bases = new Map<number, Acceptor["base"]>();
  const states = new Map(IDS.map((id) => [id, { term: 1n, commitIndex: 0n, appliedIndex: 0n }]));
  const proposals = new Map<string, { index: bigint; outcome: string }>();
  const voters = new Map<number, Voter>(
    IDS.map((id) => [
      id,
      {
        incarnation: incarnation(id),
        acceptor: {
          get base() {
            return bases.get(id) ?? WHOLE_LOG;
          },
          get log() {
            return (logs.get(id) ?? []).map(({ term, client }, at) => ({
              index: (bases.get(id) ?? WHOLE_LOG).index + BigInt(at + 1),
              term,
              kind: "noop",
              client,
              sequence: 1n,
              body: {},
            }));
          },
          get state() {
            return { ...emptyState, ...states.get(id) };
          },
          get cluster() {
            return { ...emptyCluster, proposals: new Map(proposals) };
          },
        },
      },
    ]),
  );
  const checks = new ControlChecks(voters, (invariant) => violated.push(invariant));
  const store = (id: number, ...entries: readonly [bigint, string][]) => {
    logs.set(
      id,
      entries.map(([term, client]) => ({ term, client })),
    );
    checks.stored(id);
  };
  const commit = (id: number, index: bigint) => {
    states.set(id, { ...(states.get(id) ?? { term: 1n, appliedIndex: 0n }), commitIndex: index });
    checks.committed(id);
  };
  /** Its log is gone, and it has the state at that entry, whatever its log was. */
  const serve = (id: number, index: bigint) => {
    const before = { ...emptyDurable, state: { ...emptyState, ...states.get(id) } };
    bases.set(id, { index, term: 1n, hash: "" });
    states.set(id, { term: 1n, commitIndex: index, appliedIndex: index });
    store(id);
    checks.committed(id);
    checks.applied(id, before);
  };
  return { checks, store, commit, serve, states, proposals, violated };
}

const twin = new Twin({ nodeId: 1, clusterId: "c" }, [], "b");
const emptyState = twin.state;
const emptyCluster = twin.cluster;
const emptyDurable = twin.dump();

const append = (from: number, term: number, more: Partial<Call> = {}): Call => ({
  name: "peer.append_entries",
  members: [],
  applied: 0,
  to: 2,
  from,
  incarnation: incarnation(from),
  term,
  commit: 0,
  granted: false,
  installed: false,
  ...more,
});

test("R1: two senders of appends in one term", () => {
  const { checks, violated } = control();
  checks.called(append(1, 4));
  checks.called(append(3, 4));
  expect(violated).toEqual(["R1"]);
});

test("R2: one member votes for two candidates in one term", () => {
  const { checks, violated } = control();
  const vote = { name: "peer.request_vote", granted: true };
  checks.called(append(1, 4, vote));
  checks.called(append(1, 4, vote));
  expect(violated).toEqual([]);
  checks.called(append(3, 4, vote));
  expect(violated).toEqual(["R2"]);
});

test("R3: equal index and term, another entry before it", () => {
  const { store, violated } = control();
  store(1, [1n, "a"], [2n, "c"]);
  store(2, [1n, "b"], [2n, "c"]);
  expect(violated).toContain("R3");
});

test("R4: a leader without an entry that was committed in an earlier term", () => {
  const { checks, store, commit, violated } = control();
  store(1, [1n, "a"]);
  store(2, [1n, "a"]);
  commit(1, 1n);
  checks.called(append(3, 2));
  expect(violated).toEqual(["R4"]);
});

test("R5: two nodes commit different entries at one index", () => {
  const { store, commit, violated } = control();
  store(1, [1n, "a"]);
  store(2, [1n, "a"]);
  commit(1, 1n);
  store(3, [2n, "z"]);
  commit(3, 1n);
  expect(violated).toContain("R5");
});

test("R6: an entry counts as committed, and a minority holds it", () => {
  const { store, commit, violated } = control();
  store(1, [1n, "a"]);
  commit(1, 1n);
  expect(violated).toEqual(["R6"]);
});

test("R7: an entry of an older term is committed by counting", () => {
  const { checks, store, violated } = control();
  for (const id of IDS) store(id, [2n, "a"]);
  checks.called(append(1, 3, { commit: 1 }));
  expect(violated).toEqual(["R7"]);
});

test("R8: a term goes back", () => {
  const { checks, states, violated } = control();
  checks.afterCall(1);
  states.set(1, { term: 0n, commitIndex: 0n, appliedIndex: 0n });
  checks.afterCall(1);
  expect(violated).toEqual(["R8"]);
});

test("R10: a retry is answered otherwise than the first time", () => {
  const { checks, store, violated } = control();
  for (const id of IDS) store(id, [1n, "a"], [1n, "b"]);
  checks.answered(1, "a/1", { index: 1n, outcome: "ok" });
  checks.answered(1, "a/1", { index: 1n, outcome: "ok" });
  expect(violated).toEqual([]);
  checks.answered(1, "a/1", { index: 2n, outcome: "ok" });
  expect(violated).toEqual(["R10"]);
});

// A second effect contradicts what the entry left the first time as well. No effect: the first was forgotten.
test.each([
  ["R10: a retry takes effect a second time", "ok", ["R10", "R5"]],
  ["R10: a retry is refused that comes in the call that forgets the first", "too_late", []],
])("%s", (_, outcome, wrong) => {
  const { checks, store, states, proposals, violated } = control();
  for (const id of IDS) store(id, [1n, "a"], [1n, "a"]);
  const first = { index: 1n, outcome: "ok" };
  const before = {
    state: { ...emptyState, appliedIndex: 1n },
    base: WHOLE_LOG,
    log: [],
    cluster: { ...emptyCluster, proposals: new Map([["a/1", first]]) },
  };
  states.set(1, { term: 1n, commitIndex: 2n, appliedIndex: 2n });
  if (outcome === "ok") {
    proposals.set("a/1", first);
    checks.applied(1, before);
  }
  expect(violated).toEqual([]);
  proposals.set("a/1", { index: 2n, outcome });
  checks.applied(1, before);
  expect(violated).toEqual(wrong);
});

test("R12: a read is let go behind what was committed when it asked", () => {
  const { checks, violated } = control();
  checks.readConfirmed(1, 7, 7);
  expect(violated).toEqual([]);
  checks.readConfirmed(1, 6, 7);
  expect(violated).toEqual(["R12"]);
});

test("R11: a snapshot takes the place of a log that was abandoned, and must hold what its entry left", () => {
  const { checks, store, commit, serve, states, proposals, violated } = control();
  store(1, [1n, "a"], [1n, "b"]);
  store(2, [1n, "a"], [1n, "b"]);
  store(3, [1n, "a"], [3n, "x"]);
  commit(1, 2n);
  proposals.set("a/1", { index: 1n, outcome: "ok" });
  states.set(1, { term: 1n, commitIndex: 2n, appliedIndex: 2n });
  checks.applied(1, emptyDurable);
  serve(3, 2n);
  expect(violated).toEqual([]);
  store(3, [1n, "c"]);
  store(1, [1n, "a"], [1n, "b"], [1n, "c"]);
  expect(violated).toEqual([]);
  proposals.clear();
  serve(2, 2n);
  expect(violated).toEqual(["R11"]);
});

test("R13: a call under an incarnation that is not the node's", () => {
  const { checks, violated } = control();
  checks.called(append(1, 4, { incarnation: incarnation(2) }));
  expect(violated).toEqual(["R13"]);
});

test("a run in order violates nothing", () => {
  const { checks, store, commit, violated } = control();
  checks.called(append(1, 1));
  for (const id of IDS) store(id, [1n, "a"], [1n, "b"]);
  checks.called(append(1, 1, { commit: 2 }));
  for (const id of IDS) commit(id, 2n);
  for (const id of IDS) checks.afterCall(id);
  expect(violated).toEqual([]);
});

const record = (id: number, key = `k${id}`): Rec => ({
  id,
  previous: id - 1,
  start: id * 100,
  end: id * 100 + 100,
  timeline: 1,
  kind: "commit",
  key,
});

interface Shown {
  readonly node: number;
  readonly epoch?: number;
  readonly wal?: readonly Rec[];
  readonly inRecovery?: boolean;
  readonly receiving?: boolean;
  readonly hbaOpen?: boolean;
}

/** As much of a server as the checks look at. */
function server({ node, epoch = 1, wal = [], receiving = false, ...shown }: Shown) {
  return {
    inRecovery: false,
    node,
    ...shown,
    dataDir: `/sim/n${node}/data`,
    epoch: () => epoch,
    work: { dead: false },
    data: { wal, end: () => wal.at(-1)?.end ?? 0 },
    receiver: { alive: () => receiving },
    senders: { list: [] },
  } as unknown as DataServer;
}

/** Node 2 was appointed in epoch 2, on timeline 3. */
function data(running?: DataServer) {
  const violated: string[] = [];
  const epochs = [
    { epoch: 1n, node_id: 1, timeline: 2 },
    { epoch: 2n, node_id: 2, timeline: 3 },
  ];
  const acceptor = { cluster: { epochs }, state: { appliedIndex: 1n } } as unknown as Acceptor;
  const hosts = new Map(
    IDS.map((id) => [id, { acceptor, server: () => running } as unknown as Host]),
  );
  const engine = { now: 0 } as Engine;
  return {
    checks: new DataChecks(engine, hosts, (invariant) => violated.push(invariant)),
    violated,
  };
}

test("D1: an acknowledged write is not in the final state", () => {
  const { checks, violated } = data();
  checks.attempted(server({ node: 1 }), "k1");
  checks.acknowledged(server({ node: 1, wal: [record(1)] }), record(1));
  checks.final(server({ node: 2, wal: [] }));
  expect(violated).toEqual(["D1"]);
});

test("D2: the final state holds what nobody attempted", () => {
  const { checks, violated } = data();
  checks.final(server({ node: 2, wal: [record(1)] }));
  expect(violated).toEqual(["D2"]);
});

test("D14: a promotion behind an open gate", () => {
  const { checks, violated } = data();
  checks.promoted(server({ node: 2, hbaOpen: true }), 3, 0);
  expect(violated).toEqual(["D14"]);
});

test("D3: a promotion nobody planned, a second one, one timeline twice", () => {
  const planless = data();
  planless.checks.promoted(server({ node: 3 }), 9, 0);
  expect(planless.violated).toEqual(["D3"]);
  const twice = data();
  twice.checks.promoted(server({ node: 2 }), 3, 0);
  expect(twice.violated).toEqual([]);
  twice.checks.promoted(server({ node: 2 }), 3, 0);
  expect(twice.violated).toContain("D3");
});

test("D4: promoted without a write of an earlier epoch", () => {
  const { checks, violated } = data();
  checks.acknowledged(server({ node: 1, epoch: 1 }), record(1));
  checks.promoted(server({ node: 2, wal: [] }), 3, 0);
  expect(violated).toEqual(["D4"]);
});

test("D5: WAL that grows after the report, and a receiver that runs at it", () => {
  const grows = server({ node: 2, inRecovery: true, wal: [record(1)] });
  const one = data(grows);
  one.checks.reported({ node: 2 } as Store, 2, 100);
  expect(one.violated).toEqual(["D5"]);
  const two = data(server({ node: 2, inRecovery: true, receiving: true }));
  two.checks.reported({ node: 2 } as Store, 2, 100);
  expect(two.violated).toEqual(["D5"]);
  const fine = data(server({ node: 2, inRecovery: true, wal: [record(1)] }));
  fine.checks.reported({ node: 2 } as Store, 2, 200);
  expect(fine.violated).toEqual([]);
});

test("D6: a commit completes in an older epoch after one has in a newer", () => {
  const { checks, violated } = data();
  checks.acknowledged(server({ node: 2, epoch: 2, wal: [record(1)] }), record(1));
  checks.acknowledged(server({ node: 1, epoch: 1 }), record(2));
  expect(violated).toEqual(["D6"]);
});

test("D6: late news of a write that the newer epoch holds is none", () => {
  const { checks, violated } = data();
  checks.acknowledged(server({ node: 2, epoch: 2, wal: [record(1), record(2)] }), record(2));
  checks.acknowledged(server({ node: 1, epoch: 1 }), record(1));
  expect(violated).toEqual([]);
});

test("D8: a set that acknowledges and is missed by reports that suffice", () => {
  const members = IDS.map((id) => ({ node_id: id, incarnation: incarnation(id) }));
  const names = members.map(
    ({ node_id, incarnation: one }) => `pgr_${node_id}_${one.replaceAll("-", "").slice(0, 12)}`,
  );
  const state = { rule: { k: 1, cohort: IDS }, nextRule: null, members } as unknown as Parameters<
    typeof missedBy
  >[0];
  expect(missedBy(state, 1, parseRule(`ANY 1 (${names.join(", ")})`))).toBeUndefined();
  expect(missedBy(state, 1, parseRule(""))).toEqual([1]);
  const loosened = { ...state, rule: { k: 2, cohort: IDS } };
  expect(missedBy(loosened, 1, parseRule(`ANY 1 (${names.join(", ")})`))).toEqual([1, 2]);
});

test("D9: a standby confirms what its primary does not have", () => {
  const { checks, violated } = data();
  const primary = server({ node: 1, wal: [record(1)] });
  checks.standbyConfirmed(primary, { name: "a", flushed: 200 } as Sender);
  expect(violated).toEqual([]);
  checks.standbyConfirmed(primary, { name: "a", flushed: 300 } as Sender);
  expect(violated).toEqual(["D9"]);
});

test("D12: a marked directory is started, or one that is not read-only", () => {
  const marked = data();
  marked.checks.serverStarts(server({ node: 1 }), { signalled: true, marked: true });
  expect(marked.violated).toEqual(["D12"]);
  const writable = data();
  writable.checks.serverStarts(server({ node: 1 }), { signalled: false, marked: false });
  expect(writable.violated).toEqual(["D12"]);
});

test("D14: what was read through an open gate is not in the final state", () => {
  const { checks, violated } = data();
  checks.read(server({ node: 1 }), [record(1)]);
  checks.final(server({ node: 2, wal: [] }));
  expect(violated).toEqual(["D14"]);
});
