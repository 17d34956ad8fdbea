/** M17 to M26, M61, M64 to M69, M84, M86: how a failover chooses, fences and promotes, and how the loser comes back. */
import { AIMED, corpus, type Mutant, seeds, TWIN, test } from "./mutant.ts";

const REPORT = "src/agent/report.ts";
const PROMOTE = "src/agent/promote.ts";
const CANDIDATE = "src/coordinator/candidate.ts";

export const FAILOVER_MUTANTS: readonly Mutant[] = [
  {
    id: "M17",
    bug: "LSN reported before the receiver stopped",
    rule: "D1 D5",
    killer: seeds(1, "D1 D5", AIMED),
    patches: [{ file: REPORT, find: "    seen.receivers === 0 &&\n", replace: "" }],
  },
  {
    id: "M18",
    bug: "the pledge is forgotten at boot",
    rule: "D1 D5",
    killer: seeds(1, "D1 D5"),
    patches: [
      {
        file: TWIN,
        find: "    this.#durable = durable;\n    this.#volatile = freshVolatile(bootId);",
        replace:
          "    this.#durable = { ...durable, state: { ...durable.state, pledge: 0n } };\n    this.#volatile = freshVolatile(bootId);",
      },
    ],
  },
  {
    id: "M19a",
    bug: "promotion by majority where n - k is larger (n=5, k=1)",
    rule: "D4 H10",
    killer: test("core/quorum", "n - k reports meet every possible commit set"),
    quick: true,
    patches: [
      {
        file: "src/core/quorum.ts",
        find: "  return n - k;",
        replace: "  return majority(n) + 0 * k;",
      },
    ],
  },
  {
    id: "M19b",
    bug: "the coordinator settles for a majority of reports",
    rule: "D1 D4 H10",
    killer: test("coordinator/stories", "who is chosen"),
    patches: [
      {
        file: "src/coordinator/sync-rule.ts",
        find: 'return mode === "async" && rule.k === 0 ? majority(n) : reportsNeeded(n, rule.k);',
        replace: "void mode;\n  void reportsNeeded;\n  return majority(n);",
      },
    ],
  },
  {
    id: "M20",
    bug: "highest LSN regardless of epoch",
    rule: "D1 D3 D4",
    killer: test("coordinator/stories", "who is chosen"),
    quick: true,
    patches: [
      {
        file: CANDIDATE,
        find: "  if (a.historyEpoch !== b.historyEpoch) return a.historyEpoch > b.historyEpoch ? -1 : 1;\n",
        replace: "",
      },
      {
        file: CANDIDATE,
        find: '  if (place.historyEpoch !== best.historyEpoch) return "has an older history";\n',
        replace: "",
      },
    ],
  },
  {
    id: "M21a",
    bug: "replay reported before it has ended",
    rule: "D4 D5",
    killer: seeds(1, "D4 D5", AIMED),
    patches: [
      {
        file: REPORT,
        find: "    first = isParked(sample) ? agreed(first, sample) : undefined;",
        replace:
          "    first = isParked(sample) || sample.at > 0 ? agreed(first, sample) : undefined;",
      },
      {
        file: REPORT,
        find: "  if (replay === null) return false;\n",
        replace: "  if (replay !== null) return true;\n",
      },
    ],
  },
  {
    id: "M21b",
    bug: "NULL reported as 0, or the start of a segment",
    rule: "D4",
    killer: seeds(1, "D4", ["--kinds", "kill_primary,kill_node,kill_server,kill_all"]),
    patches: [
      {
        file: REPORT,
        find: "const lsn = sample.seen.replay_lsn as Lsn;",
        replace: "const lsn = sample.seen.receive_lsn ?? 0n;",
      },
    ],
  },
  {
    id: "M22",
    bug: "timelines are not reserved",
    rule: "D3 D9 D10",
    killer: seeds(1, "D3 D9 D10", [
      "--kinds",
      "kill_primary,step_kill_worker,kill_worker,kill_all",
    ]),
    patches: [
      {
        file: PROMOTE,
        find: "  for (const timeline of missing) {",
        replace: "  for (const timeline of missing.slice(missing.length)) {",
      },
      {
        file: PROMOTE,
        find: "if (timeline !== order.view.timeline) {",
        replace: "if (timeline < 0) {",
      },
    ],
  },
  {
    id: "M23",
    bug: "a standby follows without a proof of its history",
    rule: "D9 D10",
    killer: seeds(1, "D9 D10", AIMED),
    patches: [
      {
        file: "src/agent/follow.ts",
        find: '  if (seen.chain !== "same") {',
        replace: '  if (seen.chain !== "same" && seen.why === "never") {',
      },
    ],
  },
  {
    id: "M24",
    bug: "no CHECKPOINT after promotion",
    why:
      "PostgreSQL asks for one itself after each promotion, and pg_rewind from 16 on does without: ours only makes it " +
      "come sooner; on 15 a rewind waits until the source's checkpoint is on the epoch's timeline, which no test makes late",
  },
  {
    id: "M25a",
    bug: "a copy is said to be whole before it is",
    rule: "D12 H04",
    killer: seeds(1, "D12", ["--kinds", "kill_server,kill_node,kill_all"]),
    patches: [
      {
        file: "src/agent/swap.ts",
        find: "  await writeCopying(agent);",
        replace:
          "  await writeCopying(agent);\n  await putMarker(agent, { whole: agent.view.epoch });",
      },
    ],
  },
  {
    id: "M25b",
    bug: "the marker of a rewind is written late",
    rule: "D12 H04",
    killer: test("agent/rejoin", "WAL that nobody received is rewound"),
    patches: [
      {
        file: "src/agent/rewind.ts",
        find: `    await putMarker(agent, { nothingFrom: order.epoch });
    await agent.work.rewind({ ...options, onProgress: noteProgress(agent, "rewind") });`,
        replace: `    await agent.work.rewind({ ...options, onProgress: noteProgress(agent, "rewind") });
    await putMarker(agent, { nothingFrom: order.epoch });`,
      },
    ],
  },
  {
    id: "M25c",
    bug: "what is marked is started all the same",
    rule: "D12 H04",
    killer: test("agent/agent-rules", "nothing starts or promotes a data directory with a marker"),
    patches: [
      {
        file: "src/core/agent-rules.ts",
        find: '{ pos: 230, when: { disk: "marked" },                      act: "wait", ',
        replace: '{ pos: 230, when: { disk: "marked" },                      act: "start", ',
      },
    ],
  },
  {
    id: "M26",
    bug: "synchronous_standby_names not set before promotion",
    rule: "D1 D8",
    killer: seeds(1, "D1 D8"),
    patches: [
      {
        file: PROMOTE,
        find: '  const shown = await change(agent, { gate: "closed", standbyNames }, order.signal);\n  checkRule(shown.standby_names, standbyNames);',
        replace:
          '  const shown = await change(agent, { gate: "closed", standbyNames: "" }, order.signal);\n  void checkRule;\n  void standbyNames;',
      },
    ],
  },
  {
    id: "M61a",
    bug: "a node that is held down stays primary for all of it, though no write was possible for long",
    rule: "H47",
    killer: test("coordinator/flapping", "what has lasted ten seconds is no flap"),
    quick: true,
    patches: [
      {
        file: "src/coordinator/flapping.ts",
        find: " && gapMs < LIMITS.lastingMs",
        replace: " && (gapMs < LIMITS.lastingMs || true)",
      },
    ],
  },
  {
    id: "M61b",
    bug: "a link that flaps costs its node the role each time",
    rule: "H47",
    killer: test("coordinator/flapping", "at most once per hold"),
    patches: [
      {
        file: "src/coordinator/flapping.ts",
        find: "flap.sinceMs < holdMs(flap) && ",
        replace: "",
      },
    ],
  },
  {
    id: "M64a",
    bug: "a worker that starts knows nothing of what silence has cost whom",
    rule: "H47",
    killer: test("simulation/flaps", "has not forgotten"),
    patches: [
      {
        file: "src/worker/worker.ts",
        find: "    await recallFlaps(config, watch.flaps, clock);\n",
        replace: "    void recallFlaps;\n",
      },
    ],
  },
  {
    id: "M64b",
    bug: "what silence has cost whom is counted by a clock that begins anew with each process",
    rule: "H32 H47",
    killer: test("leader/remember", "counts on from where"),
    patches: [
      {
        file: "src/leader/remember.ts",
        find: "boot_ms: Math.max(0, up - sinceMs)",
        replace: "boot_ms: Math.max(0, now - sinceMs + 0 * up)",
      },
    ],
  },
  {
    id: "M65a",
    bug: "what was rehearsed stays, in SQL",
    rule: "R1 R3 R4",
    killer: test("sql/peer/rehearsal", "every table is as it was"),
    quick: true,
    patches: [
      {
        file: "sql/20_peer/rehearse.sql",
        find: "    raise exception 'undone';\n",
        replace: "",
      },
    ],
  },
  {
    id: "M65b",
    bug: "a rehearsal is a sign of the leader's life, in SQL",
    rule: "H54",
    killer: test("sql/peer/rehearsal", "every table is as it was"),
    patches: [
      {
        file: "sql/20_peer/rehearse.sql",
        find: "peer.append_entries(p_cluster, p_from, p_incarnation, 0, ",
        replace: "peer.append_entries(p_cluster, p_from, p_incarnation, v_term, ",
      },
    ],
  },
  {
    id: "M66a",
    bug: "entries are added while leadership is handed over: the heir lacks them and is refused",
    rule: "liveness",
    killer: test("oracle/replicator", "catches up under any load"),
    patches: [
      {
        file: "src/raft/door.ts",
        find: "if (this.#waiting === undefined) go();",
        replace: "if (this.#waiting === undefined || go !== undefined) go();",
      },
    ],
  },
  {
    id: "M66b",
    bug: "proposals that wait when the term ends are never told",
    rule: "liveness",
    killer: test("oracle/replicator", "waits when the term ends"),
    patches: [{ file: "src/raft/replicator.ts", find: "    this.door.end(over);\n", replace: "" }],
  },
  {
    id: "M67",
    bug: "a primary that comes back without its data is never proved gone, and nobody takes over",
    rule: "D11",
    killer: corpus("primary-back-without-its-data", 810441, "D11"),
    patches: [
      {
        file: "src/core/agent-rules.ts",
        find: 'when: { goal: "primary", server: "down", rest: "unproved" },           act: "bury"',
        replace:
          'when: { goal: "primary", disk: "ours", server: "down", rest: "unproved" }, act: "bury"',
      },
    ],
  },
  {
    id: "M68a",
    bug: "the commit rule is stepped by what the primary said before this leadership",
    rule: "D11",
    killer: test("coordinator/stories", "the commit rule follows who is there"),
    patches: [
      {
        file: "src/coordinator/situation.ts",
        find: " || members.get(primary)?.beatMs === undefined",
        replace: "",
      },
    ],
  },
  {
    id: "M68b",
    bug: "the end of a primary whose data are gone with it is never called a fence",
    rule: "D11 H05",
    killer: test("agent/loop"),
    patches: [
      {
        file: "src/agent/observe.ts",
        find: 'return state.gone ? "fenced" : "stopped"',
        replace: 'return "stopped"',
      },
    ],
  },
  {
    id: "M68c",
    bug: "a backend whose data directory was removed and made anew is not found",
    rule: "H05 D6",
    killer: test("postgres/fence", "whatever stands in its place"),
    patches: [
      {
        file: "src/postgres/process-tree.ts",
        find: "cwd.dev === dir.dev) return true;\n",
        replace: "cwd.dev === dir.dev) return true;\n      if (dir !== undefined) return false;\n",
      },
    ],
  },
  {
    id: "M69",
    bug: "who is to leave may not be promoted, though nobody else holds its WAL",
    rule: "D11",
    killer: corpus("all-but-a-blank-primary-leave", 830628, "D11 D10"),
    patches: [
      {
        file: "src/coordinator/candidate.ts",
        find: '  if (!place.member.promotable) return "may not be promoted";',
        replace:
          '  if (!place.member.promotable || place.member.leaving) return "may not be promoted";',
      },
    ],
  },
  {
    id: "M84",
    bug: "without a lock file a fence is claimed while somebody answers where the server was to listen",
    rule: "D7 H26",
    killer: test("postgres/fence", "without a lock file"),
    patches: [
      {
        file: "src/postgres/fence.ts",
        find: "(told?.listenAddress ?? listen)",
        replace: '(told?.listenAddress ?? (listen && ""))',
      },
    ],
  },
  {
    id: "M86",
    bug: "a start takes the lock of a server that runs away",
    rule: "D12 H26",
    killer: test("postgres/server", "the locks of a server that runs stay"),
    patches: [
      {
        file: "src/postgres/server.ts",
        find: "if (pid === undefined || !(await runsIn(pid, dataDir, binaries))) await",
        replace: "if (pid === undefined || !(await runsIn(-pid, dataDir, binaries))) await",
      },
    ],
  },
];
