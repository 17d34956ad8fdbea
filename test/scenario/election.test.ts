/** The proposer alone, fed by hand: events in, effects out, as golden text. */
import { expect, test } from "vitest";
import { provenCounter } from "../../src/core/counters.ts";
import {
  type ElectionEffect,
  type ElectionEvent,
  type ElectionState,
  initialElection,
  step,
} from "../../src/core/election.ts";
import { lookEveryMs, retimed } from "../../src/core/election-timers.ts";
import {
  committedIndex,
  initialProgress,
  onAppended,
  onConflict,
  type Progress,
} from "../../src/core/progress.ts";
import { type Command, replay } from "../support/datadriven.ts";

const TIMING = { electionMs: 1000, jitterMs: 80, ballotMs: 300 };

test.each(["campaign", "leading", "timers", "transfer"])(
  "the proposer keeps what %s.txt says",
  async (name) => {
    let state: ElectionState | undefined;
    await replay(`test/scenario/testdata/${name}.txt`, ({ name: verb, args }) => {
      const at = {
        now: Number(args.at ?? state?.tickedAt ?? 0),
        random: Number(args.random ?? 0.5),
      };
      if (verb === "node") {
        const voters = (args.voters ?? "").split(",").map(Number);
        state = initialElection(Number(args.id), voters, TIMING, at);
        return line(state, []);
      }
      const before = state as ElectionState;
      if (verb === "proof") {
        const counter = provenCounter(before, Number(args.voter), at.now);
        return counter === undefined ? "none" : `boot=${counter.bootId} heard=${counter.heard}`;
      }
      const isRetimed = verb === "retime";
      const event = eventOf({ name: isRetimed ? "tick" : verb, args });
      const [after, effects] = step(before, event, at);
      state = isRetimed ? retimed(after, Number(args.ms), at) : after;
      return line(state, effects);
    });
  },
);

test("a leader looks at its store often enough not to think that it stood still", () => {
  for (const [electionMs, heartbeatMs] of [
    [100, 20],
    [500, 50],
    [500, 100],
    [1000, 100],
    [3000, 1000],
  ] as const) {
    // A beat may be a quarter late (untilBeat); half an election timeout is a standstill.
    expect(1.25 * lookEveryMs({ electionMs, heartbeatMs })).toBeLessThan(electionMs / 2);
  }
  expect(lookEveryMs({ electionMs: 1000, heartbeatMs: 100 })).toBe(200);
});

test("what a majority holds is committed, of the own term only", async () => {
  const progress = new Map<number, Progress>();
  await replay("test/scenario/testdata/commit.txt", ({ name, args }) => {
    const id = Number(args.id);
    if (name === "start") {
      progress.clear();
      for (const one of (args.ids ?? "").split(",")) {
        progress.set(Number(one), initialProgress(BigInt(args.last ?? 0)));
      }
    } else if (name === "appended") {
      const was = progress.get(id) as Progress;
      progress.set(id, onAppended(was, BigInt(args.match ?? 0), BigInt(args.commit ?? 0)));
    } else if (name === "conflict") {
      progress.set(id, onConflict(progress.get(id) as Progress, BigInt(args.hint ?? 0)));
    } else {
      const voters = (args.voters ?? "").split(",").map(Number);
      return `commit=${committedIndex(voters, progress, BigInt(args.first ?? 0))}`;
    }
    return [...progress].map(([of, p]) => `${of}: match=${p.match} next=${p.next}`).join("\n");
  });
});

test("a wins-elections-only-with-a-majority property: no sequence of late answers elects two", () => {
  const start = { now: 0, random: 0.5 };
  const sample = {
    bootId: "b",
    heard: 1n,
    term: 4n,
    leaderId: undefined,
    lastIndex: 9n,
    lastTerm: 4n,
  };
  let [state] = step(
    initialElection(1, [1, 2, 3], TIMING, start),
    {
      type: "sampled",
      sample: { ...sample, transferTerm: undefined },
    },
    start,
  );
  [state] = step(state, { type: "tick" }, { now: 2000, random: 0.5 });
  const answer = (from: number, asked: bigint, kind: "pre_vote" | "vote"): ElectionEvent => ({
    type: "answered",
    kind,
    from,
    asked,
    term: 4n,
    granted: true,
    reason: "granted",
  });
  // Answers to another term's question never count.
  for (const asked of [3n, 4n, 6n]) {
    for (const kind of ["pre_vote", "vote"] as const) {
      for (const from of [1, 2, 3])
        [state] = step(state, answer(from, asked, kind), { now: 2001, random: 0 });
    }
  }
  expect(state.phase).toBe("candidate");
  expect(state.leading).toBeUndefined();
});

function eventOf({ name, args }: Omit<Command, "body">): ElectionEvent {
  switch (name) {
    case "sample":
      return {
        type: "sampled",
        sample: {
          bootId: args.boot ?? "b1",
          heard: BigInt(args.heard ?? 0),
          term: BigInt(args.term ?? 0),
          leaderId: args.leader === undefined ? undefined : Number(args.leader),
          lastIndex: 7n,
          lastTerm: 1n,
          transferTerm: args.transfer === undefined ? undefined : BigInt(args.transfer),
        },
      };
    case "tick":
      return { type: "tick" };
    case "lost":
      return { type: "lost", peer: Number(args.peer) };
    case "acked":
      return { type: "acked", from: Number(args.from), term: BigInt(args.term ?? 0) };
    case "refused":
      return { type: "refused", term: BigInt(args.term ?? 0) };
    case "blind":
      return { type: "blind", why: "the own control store does not answer" };
    case "unable":
      return { type: "unable" };
    default:
      return {
        type: "answered",
        kind: name === "pre-vote" ? "pre_vote" : "vote",
        from: Number(args.from),
        asked: BigInt(args.asked ?? 0),
        term: BigInt(args.term ?? 0),
        granted: args.reason === "granted",
        reason: args.reason ?? "",
        ...(args.heard === undefined
          ? {}
          : { counter: { bootId: args.boot ?? "b1", heard: BigInt(args.heard) } }),
      };
  }
}

function line(state: ElectionState, effects: readonly ElectionEffect[]): string {
  const role = state.leading === undefined ? state.phase : `leader of ${state.leading}`;
  const due =
    state.leading === undefined && !state.ballot ? ` campaign at ${state.campaignAt}` : "";
  return [`${role}${due}`, ...effects.map(effectLine)].join("\n");
}

function effectLine(effect: ElectionEffect): string {
  switch (effect.type) {
    case "mark_silent":
      return `  mark silent at ${effect.heard}`;
    case "pre_vote":
      return `  ask ${effect.to} for pre-votes in ${effect.term}`;
    case "vote":
      return `  ask ${effect.to} for votes in ${effect.term}${effect.transfer ? " (transfer)" : ""}`;
    case "lead":
      return `  lead ${effect.term}`;
    case "transfer":
      return `  ask another to lead after ${effect.term}`;
    case "step_down":
      return `  step down: ${effect.why}`;
  }
}
