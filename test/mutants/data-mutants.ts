/** M17 to M40: bugs of what a failover promises. */
import { AIMED, COMMANDS, type Mutant, seeds, TWIN, test } from "./mutant.ts";

const REPORT = "src/agent/report.ts";
const PROMOTE = "src/agent/promote.ts";
const SERVERS = "src/agent/servers.ts";
const FENCE = "src/postgres/fence.ts";
const CANDIDATE = "src/coordinator/candidate.ts";

export const DATA_MUTANTS: readonly Mutant[] = [
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
    killer: seeds(1, "D1 D3 D4", AIMED),
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
    rule: "D4",
    killer: seeds(1, "D4", AIMED),
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
        find: "  for (const number of missing) {",
        replace: "  for (const number of missing.slice(missing.length)) {",
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
    bug: "no CHECKPOINT after promotion, and none asked for before a rewind",
    rule: "D10 D11 H03",
    killer: test("agent/rejoin", "WAL that nobody received is rewound"),
    patches: [
      {
        file: "src/agent/gate.ts",
        find: "  void checkpointLater(agent);",
        replace: "  void checkpointLater;",
      },
      {
        file: "src/agent/rewind.ts",
        find: "if (source !== undefined && source.checkpointTimeline !== view.timeline) {",
        replace: "if (source === undefined) {",
      },
      {
        file: "src/agent/rewind.ts",
        find: "  if (source.checkpointTimeline !== view.timeline) {",
        replace: "  if (source.checkpointTimeline < 0) {",
      },
    ],
  },
  {
    id: "M25a",
    bug: "no marker while the data are copied over",
    rule: "D12 H04",
    killer: seeds(1, "D12", ["--kinds", "kill_worker,step_kill_worker,kill_primary,kill_node"]),
    patches: [
      {
        file: "src/agent/disk.ts",
        find: "replaces: await exists(paths.dataDir) };\n  await writeDurable(paths.marker",
        replace:
          "replaces: await exists(paths.dataDir) };\n  await writeDurable(paths.marker + '.no'",
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
    id: "M27",
    bug: "the new requirement replaces the old one at once",
    rule: "D8",
    killer: seeds(1, "D8", ["--mode", "available"]),
    patches: [
      {
        file: COMMANDS,
        find: "  const changes = { ruleVersion, nextRule: { k, cohort } };",
        replace: "  const changes = { ruleVersion, rule: { k, cohort }, nextRule: { k, cohort } };",
      },
    ],
  },
  {
    id: "M28",
    bug: "a tightened rule is believed at reload",
    rule: "D1 D8",
    killer: seeds(1, "D1 D8", ["--mode", "available"]),
    patches: [
      {
        file: "src/agent/gate.ts",
        find: "    const enough = confirming(state.attached, view, mark).size >= view.rule_k;\n    const behind",
        replace: "    const enough = true;\n    if (enough) return true;\n    const behind",
      },
      {
        file: "src/agent/gate.ts",
        find: 'await waitUntil("the checkpointer at rest", wait, () => isPublished(agent));',
        replace: "void isPublished;",
      },
    ],
  },
  {
    id: "M29",
    bug: "no gate after a start or a promotion",
    rule: "D14",
    killer: seeds(1, "D14", ["--kinds", "kill_primary,cut_primary"]),
    patches: [
      {
        file: SERVERS,
        find: '    gate: "closed",\n    standbyNames: view.standby_names,\n    ...wanted,',
        replace: '    standbyNames: view.standby_names,\n    ...wanted,\n    gate: "open",',
      },
      {
        file: PROMOTE,
        find: 'change(agent, { gate: "closed", standbyNames }, order.signal)',
        replace: 'change(agent, { gate: "open", standbyNames }, order.signal)',
      },
    ],
  },
  {
    id: "M30",
    bug: "the fence kills the postmaster only",
    rule: "D6 D7",
    killer: seeds(1, "D6 D7", ["--kinds", "kill_postmaster,freeze_server,cut_primary,freeze_node"]),
    patches: [
      {
        file: FENCE,
        find: "  return [...listedChildren(postmaster.pid), postmaster];",
        replace: "  void listedChildren;\n  return [postmaster];",
      },
      {
        file: FENCE,
        find: "    const alive = await serverProcesses(target, new Set(ended.keys()));",
        replace: "    const alive: ProcessInfo[] = [];",
      },
      {
        file: FENCE,
        find: "  const attached = attachedTo(told?.segment);",
        replace: "  const attached = 0 * attachedTo(told?.segment);",
      },
    ],
  },
  {
    id: "M31",
    bug: "fenced is claimed on a closed port",
    rule: "D7",
    killer: seeds(1, "D7", ["--kinds", "kill_postmaster,kill_primary"]),
    patches: [
      {
        file: FENCE,
        find: "    if ((await serverProcesses(target)).length > 0) return false;",
        replace: "    await serverProcesses(target);",
      },
      {
        file: FENCE,
        find: "  const attached = attachedTo(told?.segment);",
        replace: "  const attached = 0 * attachedTo(told?.segment);",
      },
    ],
  },
  {
    id: "M32a",
    bug: "lease counted from the reply",
    rule: "D7 H31",
    killer: test("scenario/lease", "M32"),
    quick: true,
    patches: [
      {
        file: "src/core/lease.ts",
        find: "return extend({ ...state, asked }, known.at, now);",
        replace: "return extend({ ...state, asked }, now, now);",
      },
    ],
  },
  {
    id: "M32b",
    bug: "the deadman goes by wall clock",
    rule: "D7 F30 H32",
    killer: test("postgres/deadman", "F30"),
    patches: [
      {
        file: "src/postgres/deadman.sh",
        find: "  read -r up rest </proc/uptime\n",
        replace:
          "  read -r up rest </proc/uptime; t=$(date +%s); set | grep -q ^first= || first=$t\n" +
          "  up=$(echo $up $t $first | awk '{printf \"%.2f\", $1 + $2 - $3}')\n",
      },
    ],
  },
  {
    id: "M33",
    bug: "deadman kept quiet by a timer of its own",
    rule: "D7 F08 H30",
    killer: test("postgres/deadman", "M33"),
    patches: [
      {
        file: "src/postgres/deadman.sh",
        find: "  until=$a\n",
        replace: "  until=$((now + 100))\n",
      },
    ],
  },
  {
    id: "M34",
    bug: "duplicate standby name accepted",
    rule: "D9 F40 H07",
    killer: test("agent/gate", "a second connection under a name"),
    quick: true,
    patches: [
      {
        file: "src/agent/standbys.ts",
        find: "    if (row.slot !== slotName(node_id))",
        replace: "    if (row.slot === slotName(-1))",
      },
    ],
  },
  {
    id: "M35",
    bug: "cancelled wait reported as ok by the driver",
    rule: "D1 F41 H13",
    killer: test("support/writer"),
    patches: [
      {
        file: "test/support/writer.ts",
        find: '      this.warned ||= code === "01000";',
        replace: '      this.warned &&= code === "01000";',
      },
    ],
  },
  {
    id: "M36",
    bug: "second appointment while PROMOTING",
    rule: "D3",
    killer: seeds(1, "D3"),
    patches: [
      {
        file: COMMANDS,
        find: '  if (newest.state !== "opened") return refused(cluster, "not_opened");\n',
        replace: "",
      },
      {
        file: "src/coordinator/situation.ts",
        find: 'const choice = epoch === "opened" ? choose',
        replace: 'const choice = epoch === "opened" || epoch === "appointed" ? choose',
      },
      {
        file: "src/coordinator/rules.ts",
        find: '{ pos: 480, when: { epoch: "appointed" }, act: "wait"',
        replace:
          '{ pos: 470, when: { epoch: "appointed", choice: "ready" }, act: "appoint", why: "again" },\n  { pos: 480, when: { epoch: "appointed" }, act: "wait"',
      },
      {
        file: "src/leader/gather.ts",
        find: '    if (epoch?.state === "opened") {',
        replace: '    if (epoch?.state === "opened" || epoch?.state === "appointed") {',
      },
    ],
  },
  {
    id: "M37",
    bug: "after a full stop the first node up is promoted",
    rule: "D1",
    killer: seeds(1, "D1", ["--kinds", "kill_all,kill_primary,cut_primary"]),
    patches: [
      {
        file: CANDIDATE,
        find: "  const lacking = majority(voters.length) - (voters.length - missing.length);",
        replace: "  const lacking = 0 * majority(voters.length) - missing.length;",
      },
      {
        file: CANDIDATE,
        find: "  const [first] = lackingReports(bindingRules(view), reporters, view.mode);",
        replace: "  const [first] = lackingReports([], reporters, view.mode);",
      },
    ],
  },
  {
    id: "M38a",
    bug: "apply uses now()",
    rule: "R5 H62",
    killer: test("oracle/replay"),
    patches: [
      {
        file: "sql/30_cluster/06_note.sql",
        find: "coalesce((p_body ->> 'at')::timestamptz, '1970-01-01Z')",
        replace: "clock_timestamp()",
      },
    ],
  },
  {
    id: "M38b",
    bug: "apply uses random()",
    rule: "R5 H62",
    killer: test("oracle/replay"),
    patches: [
      {
        file: "sql/30_cluster/apply_pause.sql",
        find: "coalesce(p_body ->> 'why', 'no reason given'),\n",
        replace: "random()::text,\n",
      },
    ],
  },
  {
    id: "M39",
    bug: "a server is started without its signal file",
    rule: "D6 D12",
    killer: seeds(1, "D6 D12"),
    patches: [
      { file: SERVERS, find: "  await putStandbySignal(paths.dataDir, owner);\n", replace: "" },
      {
        file: PROMOTE,
        find: "    putStandbySignal(agent.paths.dataDir, agent.owner),\n",
        replace: "",
      },
      {
        file: PROMOTE,
        find: "  await putStandbySignal(agent.paths.dataDir, agent.owner);\n",
        replace: "",
      },
    ],
  },
  {
    id: "M40",
    bug: "slots missing on standbys",
    rule: "D11 D13",
    killer: seeds(1, "D11 D13"),
    patches: [
      {
        file: PROMOTE,
        find: "    createMissingSlots(agent),\n",
        replace: "",
      },
      {
        file: "src/agent/slots.ts",
        find: "  for (const name of wanted) if (!kept.has(name)) await createSlot(db, name);",
        replace: "",
      },
    ],
  },
];
