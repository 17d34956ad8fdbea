/** The leader's side of the lease: when a nonce of the primary may be echoed, and when it may not (H31). */
import { beforeEach, expect, test } from "vitest";
import type { Clock } from "../../src/clock/clock.ts";
import { makeNonce } from "../../src/core/lease.ts";
import type { StoreSample } from "../../src/db/raft.ts";
import { silentLog } from "../../src/log/logger.ts";
import { Grants } from "../../src/raft/grants.ts";

let now: number;
/** When the newest round of heartbeats began that a majority has confirmed. */
let confirmed: number;
/** The entry after which the newest epoch may be another. */
let epochIndex: bigint;
let echoed: bigint[];
let grants: Grants;

const clock: Clock = { now: () => now, sleep: async () => undefined };
const echo = async (nonce: bigint) => void echoed.push(nonce);

beforeEach(() => {
  now = 1000;
  confirmed = Number.NEGATIVE_INFINITY;
  epochIndex = 5n;
  echoed = [];
  const replicator = {
    confirmedSince: () => confirmed,
    epochIsSettled: (applied: bigint) => applied >= epochIndex,
  };
  grants = new Grants({ replicator, echo, clock, log: silentLog });
});

const seen = (leaseAsked: bigint, more: Partial<StoreSample> = {}): StoreSample => ({
  bootId: "b",
  heard: 1n,
  term: 4n,
  leaderId: 1,
  lastIndex: 5n,
  lastTerm: 4n,
  commitIndex: 5n,
  appliedIndex: 5n,
  alarm: undefined,
  transferTerm: undefined,
  epoch: 2n,
  primaryId: 3,
  members: [1, 2, 3].map((id) => ({
    id,
    incarnation: null,
    host: `host${id}`,
    port: 5433,
    voter: true,
  })),
  voters: [1, 2, 3],
  leaseAsked,
  ...more,
});
const nonce = makeNonce(2n, 0.25);

test("a nonce is echoed once a majority confirmed heartbeats sent after it was seen, and not before", () => {
  confirmed = 990;
  grants.look(seen(nonce));
  expect(echoed).toEqual([]);
  confirmed = 999;
  now = 1050;
  grants.check();
  expect(echoed).toEqual([]);
  confirmed = 1001;
  grants.check();
  expect(echoed).toEqual([nonce]);
  // The lease was renewed now at the latest: that is what a failover counts from.
  now = 1500;
  expect(grants.sinceMs()).toBe(450);
  grants.look(seen(nonce));
  expect(echoed).toEqual([nonce]);
});

test("while an epoch of ours is under way nothing is echoed", () => {
  grants.look(seen(nonce));
  epochIndex = 6n;
  confirmed = 1100;
  grants.check();
  expect(echoed).toEqual([]);
  // Applied, and refused: the epoch is still the second, and the round is still one that began later.
  grants.look(seen(nonce, { appliedIndex: 6n }));
  expect(echoed).toEqual([nonce]);
});

test("the nonce of an epoch that is over is never echoed, however late the newer one was seen", () => {
  grants.look(seen(nonce));
  epochIndex = 6n;
  confirmed = 1100;
  grants.look(seen(nonce, { epoch: 3n, primaryId: undefined, appliedIndex: 6n }));
  grants.check();
  expect(echoed).toEqual([]);
});

test("until this leader's own first entry is applied it knows of no newest epoch", () => {
  grants.look(seen(nonce, { appliedIndex: 4n }));
  confirmed = 2000;
  grants.check();
  expect(echoed).toEqual([]);
});
