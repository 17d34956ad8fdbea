/**
 * Calls in any order, sensible or not, to one node: votes, pre-votes, appends that fit, conflict, leave a gap or come
 * twice, stale terms, strangers, crashes before and after COMMIT, old copies put back. Nobody follows Raft here; the
 * twin and the SQL must agree all the same.
 */
import { makeNonce } from "../../src/core/lease.ts";
import type { Append, Sender, VoteRequest } from "../../src/db/peer.ts";
import type { Entry } from "../../src/db/raft.ts";
import type { Random } from "../support/random.ts";
import { POISON, randomCommand } from "./commands.ts";
import { CLUSTER, incarnationOf, senderOf } from "./store.ts";
import type { Call, Image, Twins, TwoSnapshots } from "./twins.ts";

interface Act {
  readonly what: string;
  readonly call: Call;
}

export interface Counts {
  calls: number;
  refused: number;
  crashes: number;
  /** Times that entries were compacted, and that a snapshot took the place of the state. */
  compacted: number;
  installed: number;
}

export const NONE: Counts = { calls: 0, refused: 0, crashes: 0, compacted: 0, installed: 0 };

/** What is likely in this run, at random: each seed is a world of its own. */
interface Weights {
  readonly acts: Readonly<Record<keyof typeof MAKERS, number>>;
  readonly crash: number;
  readonly behind: number;
  readonly again: number;
  readonly poison: number;
}

export class AnyOrder {
  readonly counts: Counts = { ...NONE };
  readonly #random: Random;
  readonly #twins: Twins;
  readonly #weights: Weights;
  #past: Act[] = [];
  #images: Image[] = [];
  #snapshots: TwoSnapshots[] = [];

  constructor(random: Random, twins: Twins, { wholeLog = false } = {}) {
    this.#random = random;
    this.#twins = twins;
    const strength = () => (random.chance(0.2) ? 0 : random.next());
    this.#weights = {
      acts: {
        vote: 0.2 + strength(),
        preVote: strength(),
        append: 1 + 3 * strength(),
        heartbeat: strength() / 2,
        silence: 0.2 + strength() / 2,
        small: strength(),
        compact: wholeLog ? 0 : strength() / 3,
        install: wholeLog ? 0 : 2 * strength(),
      },
      crash: random.chance(0.3) ? 0 : 0.08 * random.next(),
      behind: wholeLog ? 0 : 0.03 * random.next(),
      again: 0.3 * random.next(),
      poison: random.chance(0.15) ? 0.05 : 0,
    };
  }

  async run(steps: number): Promise<void> {
    // Whoever is wiped has all to learn.
    this.#images = [await this.#twins.image()];
    for (let step = 0; step < steps; step++) {
      if (this.#random.chance(this.#weights.crash)) await this.#disturb();
      else if (this.#random.chance(this.#weights.behind)) await this.#fallBehind();
      else await this.#call(this.#next());
    }
  }

  #next(): Act {
    if (this.#past.length > 0 && this.#random.chance(this.#weights.again)) {
      return this.#random.pick(this.#past);
    }
    const act = MAKERS[this.#random.weighted(this.#weights.acts)](this.#world());
    this.#past = [...this.#past.slice(-30), act];
    return act;
  }

  #world(): World {
    const [random, twins] = [this.#random, this.#twins];
    return { random, twins, poison: this.#weights.poison, snapshots: this.#snapshots };
  }

  async #call({ what, call }: Act): Promise<void> {
    this.counts.calls += 1;
    const answer = await this.#twins.call(what, call).catch((error) => {
      if (error.name !== "SqlError") throw error;
      this.counts.refused += 1;
    });
    if (answer === true && what.startsWith("compact")) this.counts.compacted += 1;
    if ((answer as { reason?: string } | null)?.reason === "installed") this.counts.installed += 1;
  }

  /** A snapshot of what is here; what is here becomes an older copy, or nothing, and needs it. */
  async #fallBehind(): Promise<void> {
    const [id, bytes] = [this.#random.uuid(), this.#random.pick([900, 3000, 100_000])];
    this.#snapshots = [...this.#snapshots.slice(-2), await this.#twins.snapshot(id, bytes)];
    if (this.#random.chance(0.7)) await this.#twins.crash(this.#random.pick(this.#images));
  }

  async #disturb(): Promise<void> {
    this.counts.crashes += 1;
    const twins = this.#twins;
    const how = this.#random.weighted({ before: 3, after: 3, restart: 1, keep: 1, old: 1 });
    if (how === "before") {
      const { what, call } = this.#next();
      return twins.crashInCall(what, call);
    }
    if (how === "restart") return twins.restart();
    if (how === "keep") this.#images = [...this.#images.slice(-2), await twins.image()];
    // After COMMIT and before the answer: the call happened, and nobody knows.
    if (how === "after") await this.#call(this.#next());
    const old = how === "old" && this.#images.length > 0;
    return twins.crash(old ? this.#random.pick(this.#images) : undefined);
  }
}

interface World {
  readonly random: Random;
  readonly twins: Twins;
  readonly poison: number;
  readonly snapshots: readonly TwoSnapshots[];
}

const MAKERS = {
  vote: (world: World): Act => {
    const transfer = world.random.chance(0.2);
    const [from, ask] = [someone(world), voteRequest(world)];
    return {
      what: `request_vote ${show({ from: from.nodeId, ...ask, transfer })}`,
      call: (node) => node.requestVote(from, { ...ask, transfer }),
    };
  },
  preVote: (world: World): Act => {
    const [from, ask] = [someone(world), voteRequest(world)];
    return {
      what: `pre_vote ${show({ from: from.nodeId, ...ask })}`,
      call: (node) => node.preVote(from, ask),
    };
  },
  append: (world: World): Act => {
    const [from, ask] = [leader(world), append(world)];
    return {
      what: `append_entries ${show({ from: from.nodeId, ...ask })}`,
      call: (node) => node.appendEntries(from, ask),
    };
  },
  heartbeat: (world: World): Act => {
    const [from, term] = [leader(world), termNear(world)];
    return {
      what: `heartbeat ${show({ from: from.nodeId, term })}`,
      call: (node) => node.heartbeat(from, term),
    };
  },
  silence: ({ random, twins }: World): Act => {
    const { bootId, heard } = twins.acceptor.counter;
    const counter = random.chance(0.8) ? { bootId, heard } : { bootId: "boot 0", heard };
    return { what: `mark_silent ${show(counter)}`, call: (node) => node.markSilent(counter) };
  },
  small: smallAct,
  compact: ({ random }: World): Act => {
    const keep = random.pick([0, 1, 2, 4, 8]);
    return { what: `compact ${keep}`, call: (node) => node.compact(keep) };
  },
  install: (world: World): Act => {
    const { random, twins, snapshots } = world;
    // None was taken yet: look instead.
    if (snapshots.length === 0) return { what: "sample", call: (node) => node.sample() };
    const { head, sql, twin } = random.pick(snapshots);
    const next = (twins.acceptor.unlogged.arrived.get(head.id)?.length ?? 0) + 1;
    const part = random.chance(0.9) && next <= head.parts ? next : random.int(1, head.parts);
    const [from, leaderTerm] = [leader(world), termNear(world)];
    const ask = { ...head, leaderTerm, part };
    return {
      what: `install_snapshot ${show({ from: from.nodeId, ...ask })}`,
      call: (node) => {
        const rows = ("client" in node ? sql : twin)[part - 1] as string;
        return node.installSnapshot(from, { ...ask, rows });
      },
    };
  },
};

function smallAct(world: World): Act {
  const { random, twins } = world;
  const epoch = twins.acceptor.state.pledge + BigInt(random.pick([-1, 0, 0, 0, 1]));
  const at = BigInt(random.int(1, 40)) << 20n;
  const from = someone(world);
  const key = random.uuid();
  const { epoch: newest } = twins.acceptor.sample();
  const nonce = makeNonce(newest + BigInt(random.pick([0, 0, 0, 1])), random.next());
  const ticket = BigInt(random.int(1, 4));
  const acts: readonly Act[] = [
    { what: "sample", call: (node) => node.sample() },
    {
      what: `ask_lease ${from.nodeId} ${nonce}`,
      call: (node) => node.askLease(from, { nonce, hurry: nonce % 2n === 0n }),
    },
    { what: `echo_lease ${nonce}`, call: (node) => node.echoLease(nonce) },
    { what: `ask_read ${from.nodeId}`, call: (node) => node.askRead(from) },
    { what: "reads_asked", call: (node) => node.unlogged.reads.asked() },
    {
      what: `confirm_reads ${ticket}`,
      call: (node) => node.unlogged.reads.confirm({ ticket, index: newest + 3n }),
    },
    { what: `read_index ${ticket}`, call: (node) => node.unlogged.reads.index(ticket) },
    { what: `take_lead ${from.nodeId}`, call: takeLead(from, termNear(world)) },
    { what: `report ${epoch}`, call: (node) => node.report(from, epoch) },
    { what: `make_report ${epoch} ${at}`, call: (node) => node.makeReport(epoch, at) },
    {
      what: `make_void_report ${epoch} ${epoch - 1n}`,
      call: (node) => node.makeVoidReport(epoch, epoch - 1n),
    },
    { what: `recall ${epoch}`, call: (node) => node.recall(epoch) },
    { what: `follow ${epoch}`, call: (node) => node.follow(epoch) },
    { what: `hand_over_done ${epoch}`, call: (node) => node.handOverDone(epoch, at, null) },
    { what: `no hand_over ${epoch}`, call: (node) => node.handOverDone(epoch, null, "busy") },
    { what: `submit ${key}`, call: (node) => node.submit(from, key, "pause", { why: "x" }) },
    { what: "turn_gate", call: (node) => node.turnGate(2) },
    { what: "open_gate", call: (node) => node.openGate(1n, undefined) },
    {
      what: `open_gate ${ticket}`,
      call: (node) => node.openGate(1n, { ticket, index: newest + 3n }),
    },
    { what: "read_log", call: (node) => node.readLog(1n, 5) },
  ];
  return random.pick(acts);
}

const takeLead =
  (from: Sender, term: bigint): Call =>
  (node) =>
    node.takeLead(from, term);

/** One of the members; sometimes a stranger, or an earlier life of one. */
function someone({ random }: World): Sender {
  const sender = senderOf(random.int(1, 3));
  if (random.chance(0.95)) return sender;
  return random.pick<Sender>([
    { ...sender, nodeId: 9 },
    { ...sender, incarnation: incarnationOf(8) },
    { ...sender, clusterId: CLUSTER.replace("c105", "ffff") },
  ]);
}

/** Whoever leads as far as this node knows, as a rule. */
function leader(world: World): Sender {
  const { leaderId } = world.twins.acceptor.state;
  return leaderId !== undefined && world.random.chance(0.85) ? senderOf(leaderId) : someone(world);
}

function termNear({ random, twins }: World): bigint {
  const { term } = twins.acceptor.state;
  const near = term + BigInt(random.pick([-2, -1, 0, 0, 0, 0, 0, 1, 1, 2]));
  return near < 1n ? 1n : near;
}

function voteRequest(world: World): VoteRequest {
  const { random, twins } = world;
  const { lastTerm, lastIndex } = twins.acceptor.sample();
  const { counter } = twins.acceptor;
  return {
    term: termNear(world) + 1n,
    lastTerm: atLeastZero(lastTerm + BigInt(random.pick([-1, 0, 0, 0, 1]))),
    lastIndex: atLeastZero(lastIndex + BigInt(random.pick([-1, 0, 0, 0, 1]))),
    counter: random.pick([
      undefined,
      counter,
      counter,
      { ...counter, heard: counter.heard - 1n },
      { ...counter, bootId: "boot 0" },
    ]),
  };
}

function append(world: World): Append {
  const { random, twins } = world;
  const { acceptor } = twins;
  const term = termNear(world);
  const last = acceptor.sample().lastIndex;
  const prevIndex = atLeastZero(last + BigInt(random.pick([-4, -2, -1, 0, 0, 0, 0, 0, 0, 1])));
  const known = acceptor.termAt(prevIndex) ?? term;
  const prevTerm = random.chance(0.9) ? known : atLeastZero(known + BigInt(random.int(-1, 1)));
  const size = random.pick([0, 0, 1, 1, 2, 4]);
  const entries = Array.from({ length: size }, (_, offset) => {
    return entry(world, prevIndex + BigInt(offset) + 1n, term);
  });
  const commit = last + BigInt(random.pick([-3, -1, 0, 1, 5]));
  return { term, prevIndex, prevTerm, entries, commit: atLeastZero(commit) };
}

/** New, or the one that stands there, or one whose proposal was made before. */
function entry({ random, twins, poison }: World, index: bigint, term: bigint): Entry {
  const { log, cluster } = twins.acceptor;
  const there = twins.acceptor.entryAt(index);
  if (there !== undefined && random.chance(0.4)) return there;
  const command = random.chance(poison) ? POISON : randomCommand(random, cluster);
  const before = random.chance(0.1) ? log.at(random.int(0, log.length)) : undefined;
  const client = before?.client ?? random.uuid();
  const entryTerm = random.chance(0.85) || term === 1n ? term : term - 1n;
  return { index, term: entryTerm, client, sequence: before?.sequence ?? 1n, ...command };
}

const atLeastZero = (value: bigint) => (value < 0n ? 0n : value);

function show(value: unknown): string {
  return JSON.stringify(value, (_, one) => (typeof one === "bigint" ? Number(one) : one));
}
