/** One node's control store as a process: it answers calls one transaction at a time, and a crash keeps what it committed. */
import { DatabaseError, type Client } from "../adapters/pg.ts";
import type { Proc } from "../engine.ts";
import type { World } from "../world.ts";
import { type Args, checkSender, PEER } from "./acceptor.ts";
import type { Answer, Query, Row, Service, Session } from "./network.ts";
import { OWN } from "./node-functions.ts";
import { type Body, type Durable, emptyUnlogged, type ObservedRow, type Unlogged } from "./store-state.ts";

type Call = (store: Store, args: Args) => readonly Row[];

interface Parsed {
  readonly name: string;
  readonly call: Call;
  readonly fromPeer: boolean;
  /** Takes the lock and forces the log: it waits its turn, and takes longer. */
  readonly durable: boolean;
  readonly names: readonly (string | number)[];
}

const DURABLE = new Set([
  "peer.append_entries",
  "peer.request_vote",
  "raft.test_append",
  "node.follow",
  "node.note_act",
]);

const parsed = new Map<string, Parsed>();

function parse(text: string): Parsed {
  let found = parsed.get(text);
  if (found !== undefined) return found;
  const [, name = "", list = ""] = /\b((?:raft|peer|node|cluster)\.\w+)\s*\(([^]*?)\)/.exec(text) ?? [];
  const call = PEER[name] ?? OWN[name];
  if (call === undefined) throw new Error(`the twin knows no answer to: ${text}`);
  const names: (string | number)[] = [];
  let position = 0;
  for (const part of list.split(",")) {
    const [, argument, number] = /(?:(\w+)\s*=>\s*)?\$(\d+)/.exec(part) ?? [];
    if (number === undefined) continue;
    names[Number(number) - 1] = argument ?? position;
    position += 1;
  }
  found = { name, call, fromPeer: name in PEER, durable: DURABLE.has(name), names };
  parsed.set(text, found);
  return found;
}

export class Store implements Service {
  readonly world: World;
  readonly node: number;
  readonly proc: Proc;
  readonly durable: Durable;
  readonly unlogged: Unlogged;
  readonly #keys: readonly string[];
  readonly #listeners = new Map<Client, (payload: string) => void>();
  #notices: string[] = [];
  #busyUntil = 0;

  constructor(world: World, node: number, durable: Durable, keys: readonly string[]) {
    this.world = world;
    this.node = node;
    this.durable = durable;
    this.#keys = keys;
    this.proc = world.engine.spawn("control", node);
    world.procs.set(this.proc.pid, this.proc);
    this.unlogged = emptyUnlogged(this.uuid());
    for (const key of keys) world.network.listen(key, this);
    world.checks.storeStarted(this);
    this.proc.onDeath.push(() => this.#ended());
  }

  uuid(): string {
    return this.world.engine.random("uuid").uuid();
  }

  /** For display only, and the same in every run. */
  displayTime(): string {
    return new Date(1_700_000_000_000 + Math.floor(this.world.engine.now)).toISOString();
  }

  assert(holds: boolean, invariant: string, message: string): void {
    if (!holds) this.world.checks.violated(invariant, `node ${this.node}: ${message}`);
  }

  login(): Error | undefined {
    return undefined;
  }

  execute(_session: Session, query: Query, answer: (answer: Answer) => void): void {
    const { engine, checks } = this.world;
    if (/^\s*(listen|set) /.test(query.text)) {
      answer([]);
      return;
    }
    const call = parse(query.text);
    const args = Object.fromEntries(call.names.map((name, at) => [name, query.values[at]]));
    const random = engine.random("disk");
    let wait = random.between(0.03, 0.15);
    if (call.durable) {
      const took = random.between(0.15, 1.4) * checks.plan.slowDisk;
      wait = Math.max(0, this.#busyUntil - engine.now) + took;
      this.#busyUntil = engine.now + wait;
    }
    engine.after(
      wait,
      call.name,
      () => {
        if (call.durable) this.world.durableStep(this.proc);
        if (this.proc.dead) return;
        answer(this.#transact(call, args));
        if (call.durable) this.world.durableStep(this.proc);
      },
      this.proc,
    );
  }

  #transact({ name, call, fromPeer }: Parsed, args: Args): Answer {
    const { checks } = this.world;
    try {
      if (fromPeer) {
        checkSender(this, args);
        checks.called(name, args);
      }
      const rows = call(this, args);
      checks.afterCall(this);
      this.#sendNotices();
      return rows;
    } catch (error) {
      this.#notices = [];
      if (error instanceof DatabaseError) return error;
      throw error;
    }
  }

  ended(): void {}

  addListener(client: Client, hear: (payload: string) => void): void {
    this.#listeners.set(client, hear);
  }

  notify(payload: string): void {
    this.#notices.push(payload);
  }

  #sendNotices(): void {
    const payloads = [...new Set(this.#notices.splice(0))];
    if (payloads.length === 0) return;
    const { engine } = this.world;
    for (const [client, hear] of this.#listeners) {
      if (client.proc.dead) {
        this.#listeners.delete(client);
        continue;
      }
      const tell = () => {
        for (const payload of payloads) hear(payload);
      };
      engine.after(engine.random("network").between(0.05, 0.3), "store.notify", tell, client.proc);
    }
  }

  /** A proposal of a SQL caller on this node. */
  handIn(client: string, kind: string, body: Body): void {
    this.unlogged.inbox.push({ client, sequence: 1, kind, body });
    this.notify("inbox");
    this.#sendNotices();
  }

  ownRow(): ObservedRow | null {
    const { identity, hard } = this.durable;
    const own = this.unlogged.observed.get(identity.node_id);
    if (own === undefined) return null;
    const raft_role =
      hard.leader_id === identity.node_id ? "leader" : hard.leader_id !== null ? "follower" : "candidate";
    return {
      ...own,
      reported: Math.max(0, ...this.unlogged.reports.keys()) || null,
      handed_over: Math.max(0, ...this.unlogged.handedOver.keys()) || null,
      progress: this.unlogged.progress.get(identity.node_id) ?? null,
      raft_role,
    };
  }

  /** Of itself a node knows better; the newest row of each other counts. */
  takeGossip(rows: unknown): void {
    const { identity, members } = this.durable;
    for (const row of JSON.parse(String(rows)) as ObservedRow[]) {
      const { node_id } = row;
      if (node_id === identity.node_id || !members.some((one) => one.node_id === node_id)) continue;
      const { reported: _r, handed_over: _h, progress, ...kept } = row;
      if (progress === null || progress === undefined) this.unlogged.progress.delete(node_id);
      else this.unlogged.progress.set(node_id, progress as Body);
      const known = this.unlogged.observed.get(node_id);
      if (known !== undefined && known.beat >= row.beat) continue;
      this.unlogged.observed.set(node_id, { ...kept, node_id, beat: row.beat, observed_at: this.displayTime() });
    }
  }

  #ended(): void {
    for (const key of this.#keys) this.world.network.unlisten(key, this);
    this.world.network.dropServedBy(this.proc, this.world.network.dark.has(this.node));
    this.world.engine.trace(this.node, "control store ended");
  }
}
