/** All nodes, each asked in a rhythm of its own; who wants a node that is not there waits here. */
import type { Clock } from "../clock/clock.ts";
import { type Call, tell, WAITED_LONG_ENOUGH } from "./call.ts";
import { ClientError, messageOf, sqlstateOf, toClientError } from "./errors.ts";
import type { Link } from "./link.ts";
import { type Lease, Node } from "./node.ts";
import { type HostPort, nameOf, type Settings } from "./options.ts";
import { electPrimary, type Mode, route, seekDelay, type Want } from "./routing.ts";

export interface Primary {
  /** `host:port`. */
  readonly node: string;
  readonly host: string;
  readonly port: number;
  /** Where a control store is subscribed to, its epoch; else the server's timeline. */
  readonly epoch: bigint;
}

export interface Target {
  readonly mode: Mode;
  readonly pin?: string | undefined;
  readonly minLsn?: bigint | undefined;
}

/** How long the word of a control store that there is no primary keeps us from one that still says so itself. */
const HOLD_MS = 5000;
/** Between two attempts at the only node there is. */
const REST_MS = 20;

export class Topology {
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #nodes = new Map<string, Node>();
  /** The same, made anew whenever one comes or goes: it is wanted for every call. */
  #list: readonly Node[] = [];
  readonly #wake = new Map<Node, AbortController>();
  readonly #ended = new AbortController();
  readonly #loops: Promise<void>[] = [];
  #started = false;
  #isOver = false;
  #waiters = new Set<() => void>();
  /** Pauses that another primary ends. */
  readonly #pauses = new Set<AbortController>();
  #primary: Node | undefined;
  #seekingSince: number | undefined;
  #newestEpoch = 0n;
  /** A control store says that epoch `below` has begun, and names no primary. */
  #hold: { readonly below: bigint; readonly until: number } | undefined;
  readonly onPrimary = new Set<(primary: Primary) => void>();
  onLink: Node["onLink"] = () => undefined;

  constructor(settings: Settings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    for (const at of settings.hosts) this.#add(at);
  }

  get nodes(): readonly Node[] {
    return this.#list;
  }

  get primary(): Node | undefined {
    return this.#primary;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  #add(at: HostPort): Node {
    const node = new Node(at, this.#settings, this.#clock);
    node.onSign = () => this.nudge(node);
    node.onLink = (event, link, error) => this.onLink(event, link, error);
    this.#nodes.set(node.name, node);
    this.#list = [...this.#nodes.values()];
    if (this.#started) this.#loops.push(this.#watch(node));
    return node;
  }

  /** Opens the first connections; a second call does nothing. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#seekingSince = this.#clock.now();
    this.#loops.push(...this.nodes.map((node) => this.#watch(node)));
  }

  /** What a control store says of the members: new ones join, those it does not name leave. */
  setMembers(members: readonly HostPort[]): void {
    const named = new Set(members.map(nameOf));
    for (const at of members) if (!this.#nodes.has(nameOf(at))) this.#add(at);
    for (const node of this.nodes) {
      if (named.has(node.name)) continue;
      this.#nodes.delete(node.name);
      this.#list = [...this.#nodes.values()];
      this.#wake.get(node)?.abort(null);
      node.drop(new Error(`${node.name} is no member any more`));
      void node.end();
      this.#judge();
    }
  }

  /** What a control store says of the primary; `undefined`: there is none in this epoch. */
  setPrimary(at: HostPort | undefined, epoch: bigint): void {
    if (epoch < this.#newestEpoch) return; // from a control store that is behind
    this.#newestEpoch = epoch;
    if (at === undefined) {
      this.#hold = { below: epoch, until: this.#clock.now() + HOLD_MS };
    } else {
      this.#hold = undefined;
      const node = this.#nodes.get(nameOf(at));
      if (node !== undefined && epoch > (node.epoch ?? -1n)) node.epoch = epoch;
    }
    const primary = this.#primary;
    const isOld = primary !== undefined && epoch > (primary.epoch ?? -1n);
    if (isOld && (at === undefined || nameOf(at) !== primary.name)) {
      primary.writable = false;
      primary.drop(new Error(`${primary.name} is not the primary of epoch ${epoch}`));
    }
    this.#judge();
    this.nudge();
  }

  /** Also of the one there is. */
  subscribe(told: (primary: Primary) => void): void {
    this.onPrimary.add(told);
    const primary = this.#primary;
    if (primary !== undefined) queueMicrotask(() => this.#tell(primary));
  }

  unsubscribe(told: (primary: Primary) => void): void {
    this.onPrimary.delete(told);
  }

  async #watch(node: Node): Promise<void> {
    while (!this.#ended.signal.aborted && this.#nodes.get(node.name) === node) {
      const wake = new AbortController();
      this.#wake.set(node, wake);
      const changed = await node.look();
      if (changed || node === this.#primary) this.#judge();
      this.#changed();
      if (this.#ended.signal.aborted) break;
      await this.#clock.sleep(this.#restOf(node), wake.signal);
    }
    this.#wake.delete(node);
    await node.end();
  }

  #restOf(node: Node): number {
    const seeking = this.#seekingSince;
    if (seeking !== undefined) return seekDelay(this.#clock.now() - seeking);
    if (node.answers && !node.reachable) return 50; // back again: one more look and it serves
    return this.#settings.pingIntervalMs * (0.8 + 0.4 * Math.random());
  }

  /** Look now: at this node, or at all. */
  nudge(node?: Node): void {
    if (node !== undefined) this.#wake.get(node)?.abort(null);
    else for (const wake of this.#wake.values()) wake.abort(null);
  }

  #judge(): void {
    const hold = this.#hold;
    if (hold !== undefined && this.#clock.now() > hold.until) this.#hold = undefined;
    const free = this.nodes.filter(
      (n) => this.#hold === undefined || (n.epoch ?? 0n) >= this.#hold.below,
    );
    const before = this.#primary;
    this.#primary = electPrimary(free);
    if (this.#primary === undefined) this.#seekingSince ??= this.#clock.now();
    else this.#seekingSince = undefined;
    if (before !== undefined && this.#primary === undefined) this.nudge();
    if (before !== this.#primary) before?.suspect();
    if (before !== this.#primary && this.#primary !== undefined) {
      for (const pause of this.#pauses) pause.abort(null);
    }
    if (this.#primary !== undefined) this.#tell(this.#primary);
  }

  #tell(node: Node): void {
    const told = this.#settings.control.length > 0;
    const epoch = told ? node.epoch : BigInt(node.timeline ?? 0);
    if (epoch === undefined) return; // until the control store has said it
    for (const told of [...this.onPrimary]) {
      tell(told, { node: node.name, host: node.at.host, port: node.at.port, epoch });
    }
  }

  #changed(): void {
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const wake of waiters) wake();
  }

  /** Between two attempts of a call: as long as that, or until another primary is found. */
  async pause(call: Call, ms: number): Promise<void> {
    const pause = new AbortController();
    this.#pauses.add(pause);
    const { signal } = pause;
    const either = call.stop === undefined ? signal : AbortSignal.any([signal, call.stop]);
    await this.#clock.sleep(ms, either).finally(() => this.#pauses.delete(pause));
  }

  /** The next time anything was learnt; rejects with the signal's reason. */
  #news(signal: AbortSignal): Promise<void> {
    if (this.#waiters.size >= this.#settings.maxWaiting) {
      const full = `${this.#settings.maxWaiting} calls wait for a node already`;
      return Promise.reject(new ClientError("QUEUE_FULL", full));
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const settle = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiters.delete(settle);
        reject(signal.reason);
      };
      this.#waiters.add(settle);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Who fits now, best first. */
  candidates(target: Target, avoid: ReadonlySet<string>): Node[] {
    const want: Want = { ...target, avoid };
    return route(this.nodes, this.#primary, want, this.#settings);
  }

  /** Candidates as soon as there are any. Rejects with NO_PRIMARY or NO_NODE when it takes too long. */
  async find(target: Target, call: Call): Promise<Node[]> {
    this.start();
    for (;;) {
      const found = this.#found(target, call);
      if (found.length > 0) return found;
      this.#giveUpIfHopeless();
      if (target.minLsn !== undefined) this.nudge();
      try {
        await this.#news(call.waitSignal);
      } catch (error) {
        if (error !== WAITED_LONG_ENOUGH) throw error;
        if (target.minLsn !== undefined && this.#primary !== undefined) return [this.#primary];
        throw this.nobody(target, call);
      }
    }
  }

  #found(target: Target, call: Call): Node[] {
    call.check();
    if (this.#isOver) throw new ClientError("POOL_ENDED", "the pool was ended");
    return this.candidates(target, call.avoid);
  }

  #giveUpIfHopeless(): void {
    const nodes = this.nodes;
    const [first] = nodes;
    if (first === undefined || !nodes.every((node) => node.isHopeless)) return;
    throw toClientError(first.lastError, { node: first.name });
  }

  nobody({ mode, pin }: Target, { refusal }: Call): ClientError {
    const ms = this.#settings.acquireTimeoutMs;
    const states = this.nodes.map(({ state }) => state);
    if (refusal !== undefined) states.push(`${refusal.node}: ${messageOf(refusal.error)}`);
    const why = { detail: states.join("; "), cause: refusal?.error };
    if (pin !== undefined) {
      return new ClientError("NO_NODE", `${pin} is not available after ${ms}ms`, why);
    }
    if (mode === "read-only" || mode === "any") {
      return new ClientError("NO_NODE", `no node for ${mode} available after ${ms}ms`, why);
    }
    return new ClientError("NO_PRIMARY", `no writable primary available after ${ms}ms`, why);
  }

  /** A connection to who fits best; a node that gives none is left for last, and judged anew. */
  async acquire(target: Target, call: Call): Promise<Lease> {
    for (;;) {
      const node = this.#found(target, call)[0] ?? (await this.find(target, call))[0];
      if (node === undefined) continue;
      const lease = await this.#leaseOf(node, target, call);
      if (lease !== undefined) {
        if (await this.#serves(lease, target, call)) return lease;
        lease.release("destroy");
      }
      if (call.acquireLeft <= 0) throw this.nobody(target, call);
      call.avoid.add(node.name);
      if (this.candidates(target, call.avoid)[0] === node) await call.pause(REST_MS);
    }
  }

  async #serves(lease: Lease, { mode, pin }: Target, call: Call): Promise<boolean> {
    if (mode !== "read-write" || pin !== undefined) return true;
    const takesWrites = this.#isFresh(lease.link) || (await this.#takesWrites(lease, call));
    return takesWrites && lease.node === this.#primary; // another may be it since this one was asked for
  }

  async #leaseOf(node: Node, target: Target, call: Call): Promise<Lease | undefined> {
    try {
      return await node.lease(call);
    } catch (error) {
      call.check();
      if (error === WAITED_LONG_ENOUGH) throw this.nobody(target, call);
      if (error instanceof ClientError) throw error;
      const sqlstate = sqlstateOf(error) ?? "";
      if (sqlstate === "28P01") throw toClientError(error, { node: node.name });
      call.refusal = { node: node.name, error };
      // No room, or not for us: the server lives, and so do its connections.
      if (!/^(53300|28...|3D000)$/.test(sqlstate)) node.suspect();
      return undefined;
    }
  }

  /** It was in use a moment ago, and its session can write. */
  #isFresh(link: Link): boolean {
    const usable = link.inRecovery === false && !link.startsReadOnly;
    return usable && this.#clock.now() - link.lastUsed < 1000;
  }

  /** What the session itself said when it began; an old connection of a node that was promoted since is asked. */
  async #takesWrites({ link, node }: Lease, call: Call): Promise<boolean> {
    const stale = this.#clock.now() - link.lastUsed > 1000 && link.lastUsed > 0;
    try {
      if (stale || link.inRecovery === true) {
        await link.droppedAt(call.waitSignal, () => link.query("select 1"));
      }
      if (link.inRecovery !== true && !link.startsReadOnly) return true;
      node.distrust();
    } catch {
      node.suspect(); // nothing was sent on it: the caller takes another one
    }
    return false;
  }

  /** Every connection goes; resolves when nothing is left open. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#ended.abort(null);
    for (const node of this.nodes) node.drop(new ClientError("POOL_ENDED", "the pool was ended"));
    this.nudge();
    this.#changed();
    await Promise.all(this.#loops);
    await Promise.all(this.nodes.map((node) => node.end()));
  }
}
