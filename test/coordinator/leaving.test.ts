/** Who is to leave: a leader gives leadership away first, and a majority of the voters that stay must be there. */
import { expect, test } from "vitest";
import { decide } from "../../src/coordinator/rules.ts";
import { member, World } from "./world.ts";

/** Node 2 leads and is to leave; node 3 is primary and serves; nodes 1 and 4 are there too. */
function cluster(primaryVotes: boolean): World {
  const world = new World(
    [
      member(1, { state: "attached" }),
      member(2, { state: "attached", leaving: true }),
      member(3, { state: "attached", voter: primaryVotes }),
    ],
    2,
  );
  world.view.formed = true;
  world.apply({ kind: "found", body: { node_id: 3, system_identifier: "7", mode: "quorum" } });
  const [epoch] = world.view.epochs;
  if (epoch === undefined) throw new Error("no epoch");
  world.view.epochs = [{ ...epoch, node_id: 3, state: "serving" }];
  world.view.rule = { version: 3n, k: 1, cohort: [1, 3] };
  world.see(3, {
    role: "primary",
    state: "streaming",
    epoch: 1n,
    gate_open: true,
    attached: [1, 2],
  });
  world.see(1, { role: "standby", state: "streaming", epoch: 1n });
  world.facts.epochMs = 60_000;
  return world;
}

test("a leader that is to leave gives way to another voter where the primary does not vote", () => {
  const world = cluster(false);
  const { act, transferTo } = decide(world.all());
  expect({ act, transferTo }).toEqual({ act: "transfer_to_voter", transferTo: 1 });
  world.set(1, { store: { reach: "silent", sinceMs: 5000 } });
  expect(decide(world.all()).act).not.toBe("transfer_to_voter");
});

test("it gives way to the primary where that votes, and to nobody while it stays", () => {
  const voting = decide(cluster(true).all());
  expect(voting).toMatchObject({ act: "transfer_to_primary", transferTo: 3 });
  const staying = cluster(false);
  staying.view.members = staying.view.members.map((one) => ({ ...one, leaving: false }));
  expect(decide(staying.all()).act).not.toBe("transfer_to_voter");
});

test("nobody goes while of those that stay no majority answers in the life that votes", () => {
  const world = cluster(true);
  world.facts.self = 3;
  expect(decide(world.all()).act).toBe("remove");
  // Its control store was lost, and made anew a moment ago: that life has no vote yet (H56).
  world.set(1, { known: false });
  expect(decide(world.all()).act).not.toBe("remove");
  world.set(1, { known: true, store: { reach: "silent", sinceMs: 5000 } });
  expect(decide(world.all()).act).not.toBe("remove");
});

/** Node 3, the primary, is gone; node 2, which is to leave, and node 1 have reported. */
function afterDeath(lsns: { readonly stays: bigint; readonly leaves: bigint }): World {
  const world = cluster(true);
  world.view.rule = { version: 3n, k: 1, cohort: [1, 2, 3] };
  world.set(3, { store: { reach: "refused", sinceMs: 100 } });
  world.facts.probe = { result: "refused", sinceMs: 100 };
  world.apply({ kind: "open_epoch", body: { epoch: "2", cause: "node_gone" } });
  const report = { pledge: 2n, historyEpoch: 1n };
  world.reports.set(1, { ...report, lsn: lsns.stays });
  world.reports.set(2, { ...report, lsn: lsns.leaves });
  return world;
}

test("who is to leave becomes primary where nobody else holds its WAL, and stays; it comes last otherwise", () => {
  const same = decide(afterDeath({ stays: 7n, leaves: 7n }).all()).command;
  expect(same).toMatchObject({ kind: "appoint", body: { node_id: 1 } });
  const world = afterDeath({ stays: 6n, leaves: 7n });
  const { command } = decide(world.all());
  expect(command).toMatchObject({ kind: "appoint", body: { node_id: 2 } });
  if (command !== undefined) world.apply(command);
  expect(world.view.members.some(({ leaving }) => leaving)).toBe(false);
});

test("who is to leave is handed the role by nobody, and confirms no commits", () => {
  const world = cluster(true);
  world.request({
    request_id: 7n,
    kind: "switchover",
    args: { target: 2, allow_data_loss: false },
  });
  expect(decide(world.all()).command).toMatchObject({
    kind: "request_state",
    body: { state: "failed", reason: "node2 is to leave" },
  });
  const counting = cluster(true);
  counting.view.rule = { version: 3n, k: 1, cohort: [1, 2, 3] };
  counting.facts.self = 3;
  expect(decide(counting.all()).command).toMatchObject({
    kind: "rule_next",
    body: { cohort: [1, 3] },
  });
});
