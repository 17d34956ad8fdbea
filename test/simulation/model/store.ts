/**
 * One node's control store as a process: it answers calls one transaction at a time, and a crash keeps what it
 * committed.
 */
import type { Sender } from "../../../src/db/peer.ts";
import type { Acceptor, Durable } from "../../oracle/twin/acceptor.ts";
import type { Image } from "../../oracle/twin/snapshot.ts";
import { SqlError } from "../../oracle/twin/sql-error.ts";
import { type Client, DatabaseError } from "../adapters/pg.ts";
import type { Proc } from "../engine.ts";
import { forgets, type World } from "../world.ts";
import { type Args, OWN, PEER } from "./functions.ts";
import type { Answer, Query, Row, Service, Session } from "./network.ts";
import { type Kept, Seen } from "./seen.ts";

interface Parsed {
  readonly name: string;
  readonly call: (store: Store, args: Args) => readonly Row[];
  readonly fromPeer: boolean;
  /** Takes the lock and forces the log: it waits its turn, and takes longer. */
  readonly durable: boolean;
  readonly names: readonly (string | number)[];
}

const SNAPSHOT_PARTS = 3;
const DURABLE = new Set([
  "peer.append_entries",
  "peer.request_vote",
  "peer.install_snapshot",
  "raft.test_append",
  "raft.compact",
  "node.follow",
  "node.note_act",
  "node.set_data_life",
]);

/** What needs room that votes and heartbeats do not. */
const TAKES = new Set(["peer.append_entries", "peer.install_snapshot", "raft.test_append"]);

const parsed = new Map<string, Parsed>();

function parse(text: string): Parsed {
  let found = parsed.get(text);
  if (found !== undefined) return found;
  const pattern = /\b((?:raft|peer|node|cluster)\.\w+)\s*\(([\s\S]*?)\)/;
  const [, name = "", list = ""] = pattern.exec(text) ?? [];
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
  readonly incarnation: string;
  readonly proc: Proc;
  readonly acceptor: Acceptor;
  readonly seen: Seen;
  readonly #keys: readonly string[];
  readonly #listeners = new Map<Client, (payload: string) => void>();
  /** As the own worker took it last; gone with the process. */
  snapshot: Image | undefined;
  /** What members said of where they are; gone with the process. */
  readonly heardPlaces = new Map<number, { readonly host: string; readonly port: number }>();
  #notices: string[] = [];
  #busyUntil = 0;
  /** No entry goes in any more, for want of room. */
  full = false;
  /** What a disk that forgets goes back to: a few changes ago. */
  #earlier: Durable[] = [];

  constructor(
    world: World,
    node: number,
    { acceptor, incarnation, kept }: { acceptor: Acceptor; incarnation: string; kept: Kept },
    keys: readonly string[],
  ) {
    this.world = world;
    this.node = node;
    this.incarnation = incarnation;
    this.acceptor = acceptor;
    acceptor.crash(this.uuid());
    this.seen = new Seen(this, kept);
    this.#keys = keys;
    this.proc = world.engine.spawn("control", node);
    world.procs.set(this.proc.pid, this.proc);
    for (const key of keys) world.network.listen(key, this);
    world.checks.afterCall(this);
    this.proc.onDeath.push(() => this.#ended());
  }

  /** raft.take_snapshot, in parts that are few enough to be sent and enough to be lost between. */
  takeSnapshot(): Omit<Image, "rows"> {
    this.snapshot = this.acceptor.takeSnapshot(this.uuid(), SNAPSHOT_PARTS);
    const { rows: _, ...head } = this.snapshot;
    return head;
  }

  uuid(): string {
    return this.world.engine.random("uuid").uuid();
  }

  /** For display only, and the same in every run. */
  displayTime(): string {
    return new Date(1_700_000_000_000 + Math.floor(this.world.engine.now)).toISOString();
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
    if (query.text.includes("from raft.hard_state as s, node.pledge")) {
      const { term, pledge, commitIndex } = this.acceptor.state;
      answer([{ term: `${term}`, pledge: `${pledge}`, commit: `${commitIndex}` }]);
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
    const run = () => {
      // A step a fault may hit: before the COMMIT, or after it and before the answer.
      if (call.durable) this.world.durableStep(this.proc);
      if (this.proc.dead) return;
      const rows = this.#transact(call, args);
      if (call.durable) this.world.durableStep(this.proc);
      if (!this.proc.dead) answer(rows);
    };
    engine.after(wait, call.name, run, this.proc);
  }

  #transact({ name, call, fromPeer }: Parsed, args: Args): Answer {
    const { checks } = this.world;
    const before = this.acceptor.dump();
    const { cluster, state } = this.acceptor;
    const known = { members: cluster.members, applied: Number(state.appliedIndex) };
    try {
      if (this.full && TAKES.has(name)) throw new SqlError("53100", "no space left on device");
      const rows = call(this, args);
      if (fromPeer) checks.called(this, name, args, rows, known);
      const after = this.acceptor.dump();
      if (after !== before) {
        this.#earlier = [...this.#earlier.slice(-1), before];
        this.#told(before, after);
      }
      this.#sendNotices();
      return rows;
    } catch (error) {
      this.#notices = [];
      if (!(error instanceof SqlError)) throw error;
      if (error.code === "P0004") {
        checks.violated("broken", `node ${this.node}, ${name}: ${error.message}`);
      }
      return new DatabaseError(error.code, error.message);
    }
  }

  #told(before: ReturnType<Acceptor["dump"]>, after: ReturnType<Acceptor["dump"]>): void {
    const { checks } = this.world;
    if (after.log !== before.log || after.base !== before.base) checks.stored(this);
    if (after.state.commitIndex > before.state.commitIndex) checks.committed(this);
    if (after.state.appliedIndex > before.state.appliedIndex) {
      checks.applied(this, before);
      this.notify("applied");
    }
    if (after.state.leaderId !== before.state.leaderId) this.notify("leader");
    checks.afterCall(this);
  }

  ended(): void {}

  addListener(client: Client, hear: (payload: string) => void): void {
    this.#listeners.set(client, hear);
  }

  notify(payload: string): void {
    this.#notices.push(payload);
  }

  /** A proposal of a SQL caller on this node, which leads. */
  handIn(key: string, kind: string, body: Record<string, unknown>): void {
    this.acceptor.submit(this.#me(), key, kind, body);
    this.notify("inbox");
    this.#sendNotices();
  }

  /** A SQL caller on this node, which believes that it leads, wants to read; its ticket. */
  askRead(): bigint {
    const ticket = this.acceptor.askRead(this.#me());
    this.notify("read");
    this.#sendNotices();
    return ticket;
  }

  #me(): Sender {
    const { clusterId } = this.acceptor.identity;
    return { clusterId, nodeId: this.node, incarnation: this.incarnation };
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

  #ended(): void {
    const [earlier] = this.#earlier;
    if (earlier !== undefined && forgets(this.world, this.node)) {
      this.acceptor.crash("off", earlier);
      this.world.checks.forgot(this);
    }
    for (const key of this.#keys) this.world.network.unlisten(key, this);
    this.world.network.dropServedBy(this.proc, this.world.network.dark.has(this.node));
    this.world.engine.trace(this.node, "control store ended");
  }
}
