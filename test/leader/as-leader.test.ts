import { afterEach, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { createWatch } from "../../src/leader/as-leader.ts";
import { holds, until } from "../support/until.ts";
import { closedPort, openPort, Stage } from "./stage.ts";

const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function stage(options: { nodes?: number; self?: number } = {}): Stage {
  const made = new Stage(options);
  ends.push(() => made.end());
  return made;
}

/** Nodes that pledge and report, promote when appointed, and open their gate when promoted. */
function obedient(on: Stage, reporting: readonly number[]): void {
  for (const id of reporting) {
    on.reports.set(id, () => {
      const epoch = on.world.view.epochs[0]?.epoch ?? 0n;
      return Promise.resolve({ pledge: epoch, historyEpoch: 1n, lsn: 0x3000060n });
    });
  }
  on.onApplied = (kind) => {
    const newest = on.world.view.epochs[0];
    const id = newest?.node_id;
    if (newest === undefined || id == null) return;
    const { epoch } = newest;
    if (kind === "appoint") {
      on.see(id, { role: "primary", state: "running", epoch, switch_lsn: 1n, stamp_lsn: 2n });
    }
    if (kind === "promoted") on.see(id, { gate_open: true });
  };
}

test("a dead primary is replaced: one epoch, one appointment, and the gap is measured", async () => {
  const on = stage();
  on.served();
  on.ports.set(1, await closedPort());
  on.reaches.set(1, { reach: "refused", sinceMs: 20 });
  on.reports.set(1, () => Promise.resolve(undefined));
  obedient(on, [2, 3]);
  const began = monotonicClock.now();
  on.start();

  await until("serving", { limitMs: 2000, everyMs: 2 }, () => on.kinds().includes("serving"));
  expect(on.kinds()).toEqual(["open_epoch", "appoint", "promoted", "serving"]);
  const [open, appoint, , serving] = on.proposals;
  expect(open?.body).toMatchObject({ epoch: "2", cause: "node_gone" });
  expect(appoint?.body).toMatchObject({ node_id: 2, timeline: 3, from_lsn: "0/3000060" });
  expect(serving?.body.write_gap_ms).toBeGreaterThan(0);
  // A refusal is seen at once: nothing here waits for the second that silence needs.
  expect((appoint?.atMs ?? Infinity) - began).toBeLessThan(900);
});

test("a member that never answers does not delay the others' reports", async () => {
  const on = stage();
  on.served();
  on.ports.set(1, await closedPort());
  on.reaches.set(1, { reach: "refused", sinceMs: 20 });
  obedient(on, [2, 3]);
  on.reports.set(1, () => new Promise(() => undefined));
  on.start();
  await until("appointed", { limitMs: 500, everyMs: 2 }, () => on.kinds().includes("appoint"));
});

test("a silent node is given its time, and no more", async () => {
  const on = stage();
  on.served();
  const port = await openPort("silent");
  ends.push(port.close);
  on.ports.set(1, port.port);
  on.reaches.set(1, { reach: "silent", sinceMs: 1200 });
  obedient(on, [2, 3]);
  const began = monotonicClock.now();
  on.start();
  await until("opened", { limitMs: 3000, everyMs: 2 }, () => on.kinds().includes("open_epoch"));
  expect(monotonicClock.now() - began).toBeGreaterThanOrEqual(500);
  expect(on.proposals[0]?.body).toMatchObject({ cause: "node_silent" });
});

test("a follower that missed heartbeats has its probe ready when it becomes leader", async () => {
  const on = stage();
  on.served();
  const port = await openPort("silent");
  ends.push(port.close);
  on.ports.set(1, port.port);
  obedient(on, [2, 3]);
  const config = {
    node: { id: 2, name: "node2" },
    clusterId: "00000000-0000-0000-0000-000000000001",
    peerSecret: "secret",
    dir: "/nowhere",
    timing: { heartbeatMs: 100, electionMs: 1000, probeMs: 200, silentMs: 1000, leaseMs: 3000 },
  };
  const watch = createWatch({ config, clock: monotonicClock });
  const target = { id: 1, host: "127.0.0.1", port: port.port };
  watch.leaderIsQuiet(1, 500);
  watch.suspect(target);
  await until("half a second of silence", { limitMs: 2000 }, () => {
    watch.suspect(target);
    return watch.fact(1).result === "silent" && watch.fact(1).sinceMs >= 550;
  });
  // Its link was not used meanwhile and still believes that the store answers.
  on.reaches.set(1, { reach: "ok", sinceMs: 60_000 });
  const began = monotonicClock.now();
  on.start(watch);
  await until("opened", { limitMs: 2000, everyMs: 2 }, () => on.kinds().includes("open_epoch"));
  // Begun now, the probe alone would take half a second.
  expect(monotonicClock.now() - began).toBeLessThan(500);
});

test("a data server that answers without its store is left alone", async () => {
  const on = stage();
  on.served();
  const port = await openPort("starting");
  ends.push(port.close);
  on.ports.set(1, port.port);
  on.reaches.set(1, { reach: "refused", sinceMs: 20 });
  obedient(on, [2, 3]);
  on.start();
  await until("spared", { limitMs: 2000 }, () => on.decisions.some(({ pos }) => pos === 680));
  await holds("nothing is proposed", { forMs: 700 }, () => on.proposals.length === 0);
});

test("a refused proposal is looked at again, without spinning", async () => {
  const on = stage();
  on.served();
  on.ports.set(1, await closedPort());
  on.reaches.set(1, { reach: "refused", sinceMs: 20 });
  on.refuse = "stale_epoch";
  on.start();
  await until("tried again", { limitMs: 2000 }, () => on.proposals.length >= 3);
  const first = on.proposals[0]?.atMs ?? 0;
  const third = on.proposals[2]?.atMs ?? 0;
  expect(third - first).toBeGreaterThanOrEqual(40);
  on.refuse = undefined;
  obedient(on, [2, 3]);
  await until("serving", { limitMs: 2000 }, () => on.kinds().includes("serving"));
});

test("a planned switchover hands over first, and appoints the target at the shutdown's end", async () => {
  const on = stage({ self: 1 });
  on.served();
  on.see(1, { attached: [2, 3] });
  obedient(on, [2, 3]);
  const promote = on.onApplied;
  on.onApplied = (kind) => {
    if (kind === "hand_over") {
      on.reports.set(1, () => Promise.resolve({ pledge: 1n, shutdownLsn: 0x3000060n }));
    }
    promote(kind);
  };
  on.start();
  await until("beats were seen", { limitMs: 3000 }, () => on.decisions.some((d) => d.pos === 890));
  on.world.request({
    request_id: 7n,
    kind: "switchover",
    args: { target: 3, allow_data_loss: false },
  });
  on.hints.nudge();
  const done = () => on.proposals.some(({ body }) => body.state === "done");
  await until("done", { limitMs: 3000, everyMs: 2 }, done);
  expect(on.kinds()).toEqual([
    "request_state",
    "hand_over",
    "open_epoch",
    "appoint",
    "promoted",
    "serving",
    "request_state",
  ]);
  const end = on.proposals.at(-1)?.body;
  expect(end).toMatchObject({ request_id: "7", from_node: 1, to_node: 3, epoch: "2" });
  expect(end?.write_gap_ms).toBeGreaterThan(0);
});

test("leadership moves to the primary's node once things are quiet", async () => {
  const on = stage({ self: 2 });
  on.served();
  on.start();
  await until("transferred", { limitMs: 5000 }, () => on.transfers.includes(1));
  expect(on.proposals).toEqual([]);
});

test("the loop ends with the term", async () => {
  const on = stage();
  on.served();
  on.start();
  await until("it decided", { limitMs: 2000 }, () => on.decisions.length > 0);
  await on.end();
  const decided = on.decisions.length;
  await holds("no more decisions", { forMs: 150 }, () => on.decisions.length === decided);
});
