/** M27 to M42, M47 to M49: bugs of commit rule, fence, lease, and of what is there for the next failover. */
import { COMMANDS, corpus, type Mutant, oracle, seeds, test } from "./mutant.ts";

const PROMOTE = "src/agent/promote.ts";
const SERVERS = "src/agent/servers.ts";
const FENCE = "src/postgres/fence.ts";
const CANDIDATE = "src/coordinator/candidate.ts";

export const DATA_MUTANTS: readonly Mutant[] = [
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
        find: "const whole: Wanted = { ...aloneWanted(agent), ...wanted };",
        replace: 'const whole: Wanted = { ...aloneWanted(agent), ...wanted, gate: "open" };',
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
    killer: test("postgres/fence", "H05"),
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
    killer: test("postgres/fence", "H05"),
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
    killer: test("postgres/deadman", "it fires at the end of the lease"),
    patches: [
      {
        file: "src/postgres/deadman.sh",
        find: "  until=$a\n",
        replace: "  until=$((a + 500))\n",
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
        find: "      this.warned = true;",
        replace: "      this.warned = false;",
      },
    ],
  },
  {
    id: "M36a",
    bug: "second appointment while PROMOTING",
    rule: "D3 H46",
    killer: test("coordinator/stories", "crashes around a promotion"),
    patches: [
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
    ],
  },
  {
    id: "M36b",
    bug: "second appointment while PROMOTING, in SQL",
    rule: "D3 H46",
    killer: oracle(1),
    patches: [
      {
        file: "sql/30_cluster/apply_appoint.sql",
        find: "v_newest.state <> 'opened'",
        replace: "v_newest.state = 'none'",
      },
    ],
  },
  {
    id: "M37",
    bug: "after a full stop the first node up is promoted",
    rule: "D1",
    killer: test("coordinator/stories", "who is chosen"),
    quick: true,
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
    killer: seeds(1, "D6 D12", ["--kinds", "kill_primary,kill_server"]),
    patches: [
      { file: SERVERS, find: "  await putStandbySignal(dataDir, owner);\n", replace: "" },
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
    killer: test("agent/rejoin", "WAL that nobody received is rewound"),
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
  {
    id: "M41",
    bug: "a copy under way condemns the data it is to replace",
    rule: "H04 D11",
    killer: corpus("copies-cut-off-with-the-primary", 30, "D10 D11"),
    patches: [
      {
        file: "src/agent/swap.ts",
        find: "  await writeCopying(agent);",
        replace: "  await writeCopying(agent);\n  await putMarker(agent);",
      },
    ],
  },
  {
    id: "M42",
    bug: "a void report counts though nobody holds what came before it",
    rule: "D1 D4",
    killer: test("coordinator/stories"),
    patches: [
      {
        file: "src/coordinator/candidate.ts",
        find: "  if (first === undefined) return uncovered(places, voids);",
        replace:
          "  if (first === undefined) return places.length < 0 ? uncovered(places, voids) : undefined;",
      },
    ],
  },
  {
    id: "M47",
    bug: "a standby waits on the timeline of an epoch that nobody went on from",
    rule: "D11 H35",
    killer: test("agent/dead-timeline"),
    patches: [
      {
        file: "src/agent/follow.ts",
        find: "dead.has(timeline) && !seed",
        replace: "dead.has(-timeline) && !seed",
      },
    ],
  },
  {
    id: "M48",
    bug: "WAL of an epoch that nobody went on from passes for the newest's",
    rule: "D10 D11 H41",
    killer: test("core/history"),
    patches: [
      {
        file: "src/core/history.ts",
        find: "if (own > 0n && !line.some(({ epoch }) => epoch === own)) {",
        replace: "if (own < 0n && !line.some(({ epoch }) => epoch === own)) {",
      },
    ],
  },
  {
    id: "M49a",
    bug: "a slot proved through one receiver is served after another one",
    rule: "H45",
    killer: test("model/slots", "has every change"),
    quick: true,
    patches: [
      {
        file: "src/core/logical-slots.ts",
        find: "    return lost || held === undefined || held !== run;",
        replace: "    return lost || held === undefined || run === undefined;",
      },
    ],
  },
  {
    id: "M49b",
    bug: "a copied slot is trusted though the primary keeps nothing for it",
    rule: "H45",
    killer: test("model/slots", "has every change"),
    patches: [
      {
        file: "src/core/logical-slots.ts",
        find: "  if (keptXmin === null || !notBefore(xmin, keptXmin))\n",
        replace: "  if (keptXmin !== null && !notBefore(xmin, keptXmin))\n",
      },
    ],
  },
  {
    id: "M49c",
    bug: "what the primary's slot had let go of is not compared",
    rule: "H45",
    killer: test("model/slots", "has every change"),
    patches: [
      {
        file: "src/core/logical-slots.ts",
        find: "  if (!notBefore(xmin, theirs.catalog_xmin)) return",
        replace: "  if (!notBefore(xmin, xmin)) return",
      },
    ],
  },
  {
    id: "M81",
    bug: "a change stream that is lost while it begins is opened twice over",
    rule: "D13",
    killer: test("logical/faults", "lost while it begins"),
    patches: [
      {
        file: "src/logical/session.ts",
        find: "    if (this.#taken) event();\n    else this.#early = event;\n",
        replace: "    event();\n",
      },
    ],
  },
];
