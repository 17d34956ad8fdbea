/**
 * M53: timers that change while Raft runs; M76: a leader that waits for its own store; M77: loops that wait; M78: ends
 * of leases that were counted on another clock; M79: a loop that does not wait; M80, M82: a store that has forgotten;
 * M85: a deadman that stands still; M87: kept data whose timelines are forgotten; M88: a leader that gives way to a
 * slow node.
 */
import { type Mutant, test } from "./mutant.ts";

const TIMERS = "src/core/election-timers.ts";

export const TIMER_MUTANTS: readonly Mutant[] = [
  {
    id: "M53a",
    bug: "a longer election timeout puts off a campaign that is due",
    rule: "liveness",
    killer: test("scenario/election", "what timers.txt says"),
    patches: [
      {
        file: TIMERS,
        find: "Math.min(state.campaignAt, campaignAfter(timing, at))",
        replace: "campaignAfter(timing, at)",
      },
    ],
  },
  {
    id: "M53b",
    bug: "few heartbeats to an election: a leader looks so seldom that it thinks it stood still",
    rule: "liveness",
    killer: test("scenario/election", "often enough"),
    patches: [
      {
        file: TIMERS,
        find: "Math.min(2 * timing.heartbeatMs, timing.electionMs / 4)",
        replace: "2 * timing.heartbeatMs",
      },
    ],
  },
  {
    id: "M53c",
    bug: "a vote that is split is waited for as if it were not: the silent leader's word is missing",
    rule: "liveness",
    killer: test("scenario/election", "what campaign.txt says"),
    patches: [
      {
        file: "src/core/election.ts",
        find: "rivals.length > 0 ? timing.ballotMs / 2 : timing.ballotMs",
        replace: "rivals.length > 99 ? timing.ballotMs / 2 : timing.ballotMs",
      },
    ],
  },
  {
    id: "M53d",
    bug: "rivals stand again at random, and split their votes again where answers are slow",
    rule: "liveness",
    killer: test("scenario/election", "what campaign.txt says"),
    patches: [
      {
        file: "src/core/election.ts",
        find: "at.random + 3 * turn",
        replace: "at.random + 0 * turn",
      },
    ],
  },
  {
    id: "M76a",
    bug: "a leader whose own store takes nothing more leads on, and decides nothing",
    rule: "liveness",
    killer: test("simulation/full-leader"),
    patches: [
      {
        file: "src/raft/behind.ts",
        find: "clock.now() - since < BEHIND_MS",
        replace: "clock.now() - since < 1e9",
      },
    ],
  },
  {
    id: "M76b",
    bug: "a store that answers with an error passes for one that is silent",
    rule: "liveness",
    killer: test("simulation/full-leader"),
    patches: [
      {
        file: "src/raft/links.ts",
        find: "unable = isUnable(error);",
        replace: "unable = false;",
      },
    ],
  },
  {
    id: "M77a",
    bug: "a loop that failed waits for its neighbours, which go on for ever: the node does nothing more",
    rule: "liveness",
    killer: test("clock/together"),
    patches: [{ file: "src/clock/together.ts", find: "    end.abort();\n", replace: "" }],
  },
  {
    id: "M77b",
    bug: "an agent that stands still keeps its worker, and the role",
    rule: "liveness",
    killer: test("agent/moving"),
    patches: [
      {
        file: "src/agent/loop.ts",
        find: "if (still === STUCK_LOOKS)",
        replace: "if (still === 1e9)",
      },
    ],
  },
  {
    id: "M77c",
    bug: "a server that cannot be looked at for want of a file counts as gone",
    rule: "H24",
    killer: test("postgres/server", "who has no file left"),
    patches: [
      {
        file: "src/postgres/server.ts",
        find: "return seen !== false;",
        replace: "return seen === true;",
      },
    ],
  },
  {
    id: "M78a",
    bug: "the deadman takes an end that was counted since another boot: it fires in an hour",
    rule: "D7 H32",
    killer: test("postgres/deadman", "no lease can have"),
    patches: [
      {
        file: "src/postgres/deadman.sh",
        find: "$((now + 6000))",
        replace: "$((now + 600000))",
      },
    ],
  },
  {
    id: "M78b",
    bug: "a worker goes on by an end of its lease that was counted since another boot",
    rule: "D7 H32",
    killer: test("scenario/lease", "as lease.txt says"),
    patches: [
      {
        file: "src/core/lease.ts",
        find: "event.until - now > LONGEST_LEASE_MS",
        replace: "event.until - now > 1e9",
      },
    ],
  },
  {
    id: "M79",
    bug: "while an act that failed before is under way again, its loop asks the store a thousand times a second",
    rule: "liveness",
    killer: test("agent/turns"),
    patches: [
      {
        file: "src/agent/loop.ts",
        find: "running === undefined && failures > 0 && retryAt > now",
        replace: "failures > 0",
      },
    ],
  },
  {
    id: "M80",
    bug: "a store that holds no more what it acknowledged is asked for ever for what comes behind that",
    rule: "R6 F33",
    killer: test("simulation/old-store"),
    patches: [
      {
        file: "src/core/progress.ts",
        find: "return prevIndex <= match;",
        replace: "return prevIndex < 0n && match < 0n;",
      },
    ],
  },
  {
    id: "M82a",
    bug: "a store that was just started answers peers before it is known to hold what it promised",
    rule: "R2 R6 H56",
    killer: test("control/rebirth", "an older copy of the store"),
    patches: [
      {
        file: "sql/20_peer/hello.sql",
        find: "current_setting('pgreplica.unverified', true) = 'on'",
        replace: "current_setting('pgreplica.unverified', true) = 'never'",
      },
    ],
  },
  {
    id: "M82b",
    bug: "the mark that shows an older copy is taken away before the copy is",
    rule: "R2 R6 H56",
    killer: test("control/rebirth", "fails half way"),
    patches: [
      {
        file: "src/worker/control-store.ts",
        find: "  if (!lost) await moveAside(config);\n  await removeMark(config);\n",
        replace: "  await removeMark(config);\n  if (!lost) await moveAside(config);\n",
      },
    ],
  },
  {
    id: "M85",
    bug: "a deadman that stands still passes for one that watches",
    rule: "D7 H30",
    killer: test("agent/loop"),
    patches: [
      {
        file: "src/agent/guard.ts",
        find: "running !== undefined && !running.frozen",
        replace: "running !== undefined",
      },
    ],
  },
  {
    id: "M87",
    bug: "a cluster founded with data that were there plans a timeline that they know of",
    rule: "H35",
    killer: test("coordinator/stories", "a cluster is founded"),
    patches: [
      {
        file: "src/coordinator/commands.ts",
        find: "const timeline = (seen?.timeline ?? 1) + 1;",
        replace: "const timeline = 2;",
      },
    ],
  },
  {
    id: "M88",
    bug: "leadership moves to a primary's node whose store is heard only now and then",
    rule: "D16",
    killer: test("coordinator/stories", "a dead primary is replaced"),
    patches: [
      {
        file: "src/coordinator/situation.ts",
        find: "    store.sinceMs >= LIMITS.steadyMs &&\n",
        replace: "",
      },
    ],
  },
];
