/** The verbs of the stories: what each line of a testdata file does to the facts. */
import type {
  MemberFact,
  Reach,
  ReportFact,
  RequestFact,
  Seen,
  View,
} from "../../src/coordinator/facts.ts";
import { type Decision, decide } from "../../src/coordinator/rules.ts";
import { read } from "../../src/coordinator/situation.ts";
import { type NodeId, parseLsn } from "../../src/core/ids.ts";
import type { Command } from "../support/datadriven.ts";
import { member, World } from "./world.ts";

type Args = Readonly<Record<string, string>>;
type Verb = (story: Story, args: Args) => string;

interface Story {
  world: World;
}

export function createStory(): (command: Command) => string {
  const story: Story = { world: new World([member(1)]) };
  return ({ name, args }) => {
    const verb = VERBS[name];
    if (verb === undefined) throw new Error(`no verb ${name}`);
    return verb(story, args);
  };
}

const VERBS: Readonly<Record<string, Verb>> = {
  /** members n=3 self=1 witness=3 unpromotable=2 */
  members: (story, args) => {
    const members = Array.from({ length: Number(args.n) }, (_, i) => {
      const id = i + 1;
      const data_port = args.witness === String(id) ? null : 7000 + id;
      const priority = args[`priority${id}`] === undefined ? 100 : Number(args[`priority${id}`]);
      const promotable = args.unpromotable !== String(id);
      return member(id, { data_port, promotable, priority });
    });
    story.world = new World(members, Number(args.self ?? 1));
    return "ok";
  },
  /** A cluster of n whose node 1 serves epoch 1 under the default rule. */
  served: (story, args) => {
    VERBS.members?.(story, args);
    const { world } = story;
    see(world, { node: "1", state: "stopped", identifier: "7" });
    for (const kind of ["found", "promoted", "serving"]) {
      world.apply({ kind, body: { node_id: 1, write_gap_ms: null } });
    }
    const data = world.view.members.filter((m) => m.data_port !== null).map((m) => m.node_id);
    for (const id of data) world.apply({ kind: "attached", body: { node_id: id } });
    const k = args.k === undefined ? Math.floor(data.length / 2) : Number(args.k);
    world.apply({ kind: "rule_next", body: { k, cohort: data } });
    for (const kind of ["rule", "formed"]) world.apply({ kind, body: {} });
    see(world, {
      node: "1",
      role: "primary",
      state: "running",
      epoch: "1",
      gate: "open",
      attached: data.slice(1).join("+"),
      rule: "now",
    });
    for (const id of data.slice(1)) {
      see(world, { node: String(id), role: "standby", state: "streaming", epoch: "1" });
    }
    world.facts.epochMs = 60_000;
    return "ok";
  },
  see: ({ world }, args) => see(world, args),
  /** store node=1 is=refused for=20 */
  store: ({ world }, args) => {
    const store = { reach: args.is as Reach, sinceMs: Number(args.for ?? 0) };
    world.set(Number(args.node), { store });
    return "ok";
  },
  /** beat node=1 age=1500, or age=never in this leadership. */
  beat: ({ world }, args) => {
    const beatMs = args.age === "never" ? undefined : Number(args.age);
    world.set(Number(args.node), { beatMs } as Partial<MemberFact>);
    return "ok";
  },
  /** away node=2 for=3000: it has not streamed for so long; 0: it streams. */
  away: ({ world }, args) => {
    const id = Number(args.node);
    const awayMs = Number(args.for);
    const primary = world.view.epochs[0]?.node_id ?? 0;
    const attached = (world.members.get(primary)?.seen?.attached ?? []).filter((one) => one !== id);
    world.set(id, { awayMs });
    world.see(primary, { attached: awayMs === 0 ? [...attached, id] : attached });
    return "ok";
  },
  probe: ({ world }, args) => {
    const result = args.is as "answers" | "refused" | "silent" | "untested";
    world.facts.probe = { result, sinceMs: Number(args.for ?? 0) };
    return "ok";
  },
  /** flapped node=1 count=2 since=40000: silence cost it the role twice. */
  flapped: ({ world: { facts } }, args) => {
    const flap = { count: Number(args.count), sinceMs: Number(args.since) };
    facts.flaps = new Map([...facts.flaps, [Number(args.node), flap]]);
    return "ok";
  },
  /** pass epoch=6000 leading=300 handover=11000 failover=2000 gap=180 transfer=1 lease=4100 */
  pass: ({ world: { facts } }, args) => {
    if (args.epoch !== undefined) facts.epochMs = Number(args.epoch);
    if (args.leading !== undefined) facts.leadingMs = Number(args.leading);
    if (args.handover !== undefined) facts.handOverMs = Number(args.handover);
    if (args.failover !== undefined) facts.sinceFailoverMs = Number(args.failover);
    if (args.transfer !== undefined) facts.sinceTransferMs = Number(args.transfer);
    if (args.gap !== undefined) facts.gapMs = Number(args.gap);
    if (args.lease !== undefined) facts.leaseMs = Number(args.lease);
    return "ok";
  },
  /** report node=2 lsn=0/3000 history=1; a pledge alone: report node=2; a void report: report node=2 nothing=3 */
  report: ({ world }, args) => {
    const report: ReportFact = {
      pledge: BigInt(args.pledge ?? world.view.epochs[0]?.epoch ?? 0),
      ...(args.lsn === undefined ? {} : { lsn: parseLsn(args.lsn) }),
      ...(args.lsn === undefined ? {} : { historyEpoch: BigInt(args.history ?? 1) }),
      ...(args.nothing === undefined ? {} : { historyEpoch: BigInt(args.nothing) }),
    };
    world.reports.set(Number(args.node), report);
    return "ok";
  },
  handed: ({ world }, args) => {
    world.facts.handedOver =
      args.lsn === undefined
        ? { problem: args.problem ?? "no reason" }
        : { shutdownLsn: parseLsn(args.lsn) };
    return "ok";
  },
  pause: ({ world }) => {
    world.view.paused_why = "maintenance";
    return "ok";
  },
  resume: ({ world }) => {
    world.view.paused_why = null;
    return "ok";
  },
  mode: ({ world }, args) => {
    world.view.mode = args.is as View["mode"];
    return "ok";
  },
  /** request id=7 kind=switchover target=2 loss=yes due=5000 asked=3 */
  request: ({ world }, args) => {
    const id = BigInt(args.id ?? 7);
    const target = args.target === undefined ? null : Number(args.target);
    world.facts.dueInMs = new Map([[id, Number(args.due ?? 0)]]);
    world.request({
      request_id: id,
      kind: args.kind as RequestFact["kind"],
      args: {
        target,
        allow_data_loss: args.loss === "yes",
        epoch: args.asked === undefined ? null : BigInt(args.asked),
      },
    });
    return "ok";
  },
  due: ({ world }) => {
    world.facts.dueInMs = new Map();
    return "ok";
  },
  /** The words that the facts make, without deciding. */
  words: ({ world }) => {
    const { primary, situation } = read(world.all());
    return `${primary}: ${Object.entries(situation)
      .map(([word, value]) => `${word}=${value}`)
      .join(" ")}`;
  },
  primary: ({ world }) => read(world.all()).primary,
  decide: ({ world }) => line(decide(world.all())),
  /** Decide and apply until nothing more is to be proposed. */
  go: ({ world }) => {
    const lines: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      const decision = decide(world.all());
      lines.push(line(decision));
      if (decision.command === undefined) break;
      const outcome = world.apply(decision.command);
      if (outcome !== "ok") lines.push(`  refused: ${outcome}`);
    }
    return lines.join("\n");
  },
};

function see(world: World, args: Args): string {
  const seen: Partial<Seen> = {
    ...(args.role === undefined ? {} : { role: args.role as Seen["role"] }),
    ...(args.state === undefined ? {} : { state: args.state }),
    ...(args.epoch === undefined ? {} : { epoch: BigInt(args.epoch) }),
    ...(args.gate === undefined ? {} : { gate_open: args.gate === "open" }),
    ...(args.gone === undefined ? {} : { gone: args.gone === "yes" }),
    ...(args.hung === undefined ? {} : { hung: args.hung === "yes" }),
    ...(args.switch === undefined ? {} : { switch_lsn: parseLsn(args.switch) }),
    ...(args.stamp === undefined ? {} : { stamp_lsn: parseLsn(args.stamp) }),
    ...(args.wal === undefined ? {} : { wal_lsn: parseLsn(args.wal) }),
    ...(args.attached === undefined ? {} : { attached: numbers(args.attached) }),
    ...(args.lag === undefined ? {} : { lag_bytes: BigInt(args.lag) }),
    ...(args.rule === undefined ? {} : { rule_proved: provedNow(world) }),
    ...(args.slots === undefined ? {} : { slots: Number(args.slots) }),
    ...(args.wal === undefined ? {} : { wal_lsn: parseLsn(args.wal) }),
    ...(args.timeline === undefined ? {} : { timeline: Number(args.timeline) }),
    ...(args.identifier === undefined ? {} : { system_identifier: args.identifier }),
  };
  world.see(Number(args.node), seen);
  return "ok";
}

/** The number of the rule that is to be in force: a change half made has one of its own. */
function provedNow({ view }: World): bigint {
  return view.rule.version + (view.next_rule === null ? 0n : 1n);
}

function numbers(list: string): NodeId[] {
  return list === "" ? [] : list.split("+").map(Number);
}

function line({ pos, act, why, command, transferTo }: Decision): string {
  const body = command === undefined ? "" : ` ${print(command.body)}`;
  const to = transferTo === undefined ? "" : ` to=${transferTo}`;
  return `${pos} ${act}${to}${body}\n    ${why}`;
}

/** A body on one line; its reason is in the line below already. */
function print(body: Readonly<Record<string, unknown>>): string {
  return Object.entries(body)
    .filter(([key]) => key !== "reason" && key !== "hint")
    .map(([key, value]) => `${key}=${Array.isArray(value) ? value.join("+") : value}`)
    .join(" ");
}
