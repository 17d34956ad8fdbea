/** The primary's lease alone, fed by hand: events in, effects out, as golden text. */
import { expect, test } from "vitest";
import {
  FENCE_MS,
  isHeld,
  type LeaseEffect,
  type LeaseEvent,
  type LeaseState,
  makeNonce,
  nextTickMs,
  noLease,
  stepLease,
  surelyOverMs,
} from "../../src/core/lease.ts";
import { type Command, replay } from "../support/datadriven.ts";

const TIMING = { leaseMs: 3000 };

test("the lease is granted, renewed and ended as lease.txt says", async () => {
  let state: LeaseState = noLease(TIMING, 0);
  let now = 0;
  await replay("test/scenario/testdata/lease.txt", (command) => {
    now = Number(command.args.now ?? now);
    const [after, effects] = stepLease(state, eventOf(command), now);
    state = after;
    return [line(state, now), ...effects.map(effectLine)].join("\n");
  });
});

/** A nonce is a small number in its epoch, for the page's sake. */
const nonceOf = ({ nonce = "0", epoch = "1" }: Command["args"]) =>
  makeNonce(BigInt(epoch), 0) + BigInt(nonce);

function eventOf({ name, args }: Omit<Command, "body">): LeaseEvent {
  const epoch = BigInt(args.epoch ?? 1);
  switch (name) {
    case "taken":
      return { type: "taken", epoch };
    case "restored":
      return { type: "restored", epoch, until: Number(args.until) };
    case "confirmed":
      return { type: "confirmed", epoch, at: Number(args.at) };
    case "asked":
    case "echoed":
      return { type: name, nonce: nonceOf(args) };
    case "serve":
    case "released":
      return { type: name };
    default:
      return { type: "tick" };
  }
}

function line(state: LeaseState, now: number): string {
  if (state.phase === "none") return "no lease";
  const held = isHeld(state, now) ? "held" : "not held";
  const next = state.phase === "serving" ? `, next look in ${nextTickMs(state, now)}` : "";
  return `${state.phase} epoch ${state.epoch}, ${held}, until ${state.until}${next}`;
}

function effectLine(effect: LeaseEffect): string {
  switch (effect.type) {
    case "ask":
      return `  ask for epoch ${effect.epoch}${effect.hurry ? " in a hurry" : ""}`;
    case "renewed":
      return `  renewed until ${effect.until}`;
    case "fence":
      return `  fence: ${effect.why}`;
  }
}

test("M32: whatever is answered in whatever order, no lease outlasts D from before a question of its own epoch", () => {
  // Every run asks, answers late, twice and out of order, and ticks; chance is seeded.
  for (let seed = 1; seed <= 500; seed += 1) {
    let random = seed;
    const chance = (below: number) => {
      random = (random * 1103515245 + 12345) % 2 ** 31;
      return random % below;
    };
    let [state] = stepLease(noLease(TIMING, 0), { type: "taken", epoch: 1n }, 0);
    const asked: { nonce: bigint; at: number }[] = [];
    let newest = Number.NEGATIVE_INFINITY;
    for (let now = 0; now < 12_000; now += 1 + chance(150)) {
      const step = (event: LeaseEvent) => {
        const [next, effects] = stepLease(state, event, now);
        state = next;
        return effects;
      };
      for (const effect of step({ type: "tick" })) {
        if (effect.type === "fence") expect(now).toBeLessThan(newest + TIMING.leaseMs);
      }
      if (chance(3) === 0) {
        const nonce = makeNonce(BigInt(1 + chance(2)), asked.length / 1000);
        step({ type: "asked", nonce });
        asked.push({ nonce, at: now });
      }
      const echo = asked[chance(asked.length + 1)];
      if (echo !== undefined && chance(6) === 0) {
        step({ type: "echoed", nonce: echo.nonce });
        if (echo.nonce >> 32n === 1n) newest = Math.max(newest, echo.at);
      }
      step({ type: "serve" });
      expect(state.until).toBeLessThanOrEqual(newest + TIMING.leaseMs);
    }
  }
});

test("another node may count on the fence after D + F, and one hundredth for clocks that differ", () => {
  expect(surelyOverMs(TIMING)).toBe(4040);
});

/** How long after its last renewal an old primary serves at most, by true time, if its clock runs at this rate. */
function servesFor(rate: number): number {
  const clock = (trueMs: number) => trueMs * rate;
  const events = [
    { type: "taken", epoch: 1n },
    { type: "confirmed", epoch: 1n, at: 0 },
    { type: "serve" },
  ];
  let state = noLease(TIMING, 0);
  for (const event of events as LeaseEvent[]) [state] = stepLease(state, event, 0);
  for (let now = 0; ; now += 1) {
    const [next, effects] = stepLease(state, { type: "tick" }, clock(now));
    state = next;
    // The fence that begins now takes its whole limit, by the same clock.
    if (effects.some(({ type }) => type === "fence")) return now + FENCE_MS / rate;
  }
}

test("N3: within one hundredth nobody serves when strict reads open; a clock at half the rate does", () => {
  for (const rate of [0.99, 1, 1.01]) expect(servesFor(rate)).toBeLessThan(surelyOverMs(TIMING));
  expect(servesFor(0.5)).toBeGreaterThan(surelyOverMs(TIMING) + TIMING.leaseMs / 2);
});
