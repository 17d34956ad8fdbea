/** M17 to M40: bugs of what a failover promises. */
import { AIMED, COMMANDS, type Mutant, TWIN } from "./mutant.ts";

const REPORT = "src/agent/report.ts";
const PROMOTE = "src/agent/promote.ts";
const SERVERS = "src/agent/servers.ts";
const FENCE = "src/postgres/fence.ts";
const CANDIDATE = "src/coordinator/candidate.ts";

export const DATA_MUTANTS: readonly Mutant[] = [
  {
    id: "M17",
    bug: "LSN reported before the receiver stopped",
    layer: "L1",
    caught: ["D1", "D5"],
    patches: [{ file: REPORT, find: "    seen.receivers === 0 &&\n", replace: "" }],
    args: AIMED,
  },
  {
    id: "M18",
    bug: "the pledge is forgotten at boot",
    layer: "L1",
    caught: ["D1", "D5"],
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
    id: "M19",
    bug: "promotion by majority where n−k is larger (n=5, k=1)",
    layer: "L0",
    why: "with the default k both are equal: the arithmetic is tested for all n and k by brute force",
  },
  {
    id: "M20",
    bug: "highest LSN regardless of epoch",
    layer: "L1",
    caught: ["D1", "D3", "D4"],
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
    args: AIMED,
  },
  {
    id: "M21a",
    bug: "replay reported before it has ended",
    layer: "L1",
    caught: ["D4"],
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
    args: AIMED,
  },
  {
    id: "M21b",
    bug: "NULL reported as 0, or the start of a segment",
    layer: "L1",
    caught: ["D4"],
    patches: [
      {
        file: REPORT,
        find: "const lsn = sample.seen.replay_lsn as Lsn;",
        replace: "const lsn = sample.seen.receive_lsn ?? 0n;",
      },
    ],
    args: ["--kinds", "kill_primary,kill_node,kill_server,kill_all"],
  },
  {
    id: "M22",
    bug: "timelines are not reserved",
    layer: "L1",
    caught: ["D3", "D9", "D10"],
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
    args: ["--kinds", "kill_primary,step_kill_worker,kill_worker,kill_all"],
  },
  {
    id: "M23",
    bug: "a standby follows without a proof of its history",
    layer: "L1",
    caught: ["D9", "D10"],
    patches: [
      {
        file: "src/agent/follow.ts",
        find: '  if (seen.chain !== "same") {',
        replace: '  if (seen.chain !== "same" && seen.why === "never") {',
      },
    ],
    args: AIMED,
  },
  { id: "M24", bug: "no CHECKPOINT after promotion", layer: "none", why: "only a rewind needs it" },
  {
    id: "M25",
    bug: "rewind marker missing or written late",
    layer: "none",
    why: "a rewind is not simulated yet",
  },
  {
    id: "M26",
    bug: "synchronous_standby_names not set before promotion",
    layer: "L1",
    caught: ["D1", "D8"],
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
    layer: "L1",
    caught: ["D8"],
    patches: [
      {
        file: COMMANDS,
        find: "  const changes = { ruleVersion, nextRule: { k, cohort } };",
        replace: "  const changes = { ruleVersion, rule: { k, cohort }, nextRule: { k, cohort } };",
      },
    ],
    args: ["--mode", "available"],
  },
  {
    id: "M28",
    bug: "a tightened rule is believed at reload",
    layer: "L1",
    caught: ["D1", "D8"],
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
    args: ["--mode", "available"],
  },
  {
    id: "M29",
    bug: "no gate after a start or a promotion",
    layer: "L1",
    caught: ["D14"],
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
    args: ["--kinds", "kill_primary,cut_primary"],
  },
  {
    id: "M30",
    bug: "the fence kills the postmaster only",
    layer: "L1",
    caught: ["D6", "D7"],
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
    args: ["--kinds", "kill_postmaster,freeze_server,cut_primary,freeze_node"],
  },
  {
    id: "M31",
    bug: "fenced is claimed on a closed port",
    layer: "L1",
    caught: ["D7"],
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
    args: ["--kinds", "kill_postmaster,kill_primary"],
  },
  {
    id: "M32",
    bug: "lease counted from the reply, or by wall clock",
    layer: "none",
    why: "the lease is not simulated yet",
  },
  {
    id: "M33",
    bug: "deadman kept quiet by a timer of its own",
    layer: "none",
    why: "the deadman is not simulated yet",
  },
  {
    id: "M34",
    bug: "duplicate standby name accepted",
    layer: "L3",
    why: "foreign receivers are not simulated: live tests evict them",
  },
  {
    id: "M35",
    bug: "cancelled wait reported as ok by the driver",
    layer: "L3",
    why: "the driver is not part of the worker",
  },
  {
    id: "M36",
    bug: "second appointment while PROMOTING",
    layer: "L1",
    caught: ["D3"],
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
    layer: "L1",
    caught: ["D1"],
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
    args: ["--kinds", "kill_all,kill_primary,cut_primary"],
  },
  {
    id: "M38",
    bug: "apply uses now() or random()",
    layer: "L2",
    why: "the twin of apply has neither",
  },
  {
    id: "M39",
    bug: "a server is started without its signal file",
    layer: "L1",
    caught: ["D6", "D12"],
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
    layer: "L1",
    caught: ["D11", "D13"],
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
