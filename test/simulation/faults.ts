/** Carries out what a scenario holds: each action at its time, and the end of all of it. */
import { Ask } from "./ask.ts";
import type { Cluster } from "./cluster.ts";
import { isWhole } from "./convergence.ts";
import type { Proc } from "./engine.ts";
import type { Host } from "./model/host.ts";
import { dataOf } from "./model/wal.ts";
import { Operator } from "./operator.ts";
import type { Action, Scenario } from "./scenario.ts";

/** Carries the actions out, counts what took effect, and ends all of it at the healing. */
export class Faults {
  readonly #cluster: Cluster;
  readonly #scenario: Scenario;
  readonly #steps: {
    left: number;
    readonly run: (proc: Proc) => void;
    readonly match: (proc: Proc) => boolean;
  }[] = [];
  readonly #undo: (() => void)[] = [];
  readonly #operator: Operator;
  primaryFaults = 0;
  injected = 0;
  switchovers = 0;
  /** The node that hears nobody, or whose store is full, and is not counted on any more. */
  deaf: number | undefined;

  constructor(cluster: Cluster, scenario: Scenario) {
    this.#cluster = cluster;
    this.#scenario = scenario;
    this.#operator = new Operator(cluster);
    cluster.onDurableStep = (proc) => this.#durableStep(proc);
  }

  start(): void {
    const { engine } = this.#cluster;
    for (const action of this.#scenario.actions) {
      engine.after(action.at - engine.now, `fault.${action.kind}`, () => this.#act(action));
    }
  }

  /** Everything ends: links heal, processes go on, dead ones start again. */
  heal(): void {
    this.#steps.length = 0;
    for (const undo of this.#undo.splice(0)) undo();
    const { engine, hosts, network, checks } = this.#cluster;
    checks.plan = { ...checks.plan, slowDisk: 1, slowReplay: 1, orphans: 0 };
    for (const host of hosts.values()) {
      network.dark.delete(host.id);
      for (const proc of host.procs()) engine.resume(proc);
      host.startWorker();
    }
    engine.trace("--", "everything heals");
  }

  #leader(): Host | undefined {
    return [...this.#cluster.hosts.values()].find(
      ({ id, store }) => store?.proc.dead === false && store.acceptor.state.leaderId === id,
    );
  }

  /** A leader whose store takes nothing more, and stays so, while its heartbeats are confirmed (F22). */
  #fill(): void {
    const leader = this.#leader();
    if (leader?.store === undefined || this.deaf !== undefined) return;
    this.deaf = leader.id;
    leader.store.full = true;
    this.#cluster.engine.trace(leader.id, "its control store is full from now on");
  }

  /** A control store is, from one moment to the next, what it was before (F33). */
  #putBack(host: Host, ms: number): void {
    const { engine, checks } = this.#cluster;
    const old = host.acceptor.dump();
    engine.after(ms, "fault.old_store", () => {
      const { store } = host;
      if (store === undefined) return;
      host.killStore();
      host.acceptor.crash("off", old);
      checks.forgot(store);
      engine.trace(host.id, `its control store is what it was ${ms} ms ago`);
    });
  }

  /** A leader that hears nobody and is heard by all, and stays so: the others must do without it (F14). */
  #deafen(): void {
    const { hosts, network, engine } = this.#cluster;
    const leader = this.#leader();
    if (leader === undefined || this.deaf !== undefined) return;
    this.deaf = leader.id;
    engine.trace(leader.id, "hears nobody from now on");
    for (const other of hosts.keys()) if (other !== leader.id) network.cut(other, leader.id);
  }

  /** One node may stay dead, if the others have all the data a failover needs. */
  loseOne(): number | undefined {
    if (this.deaf !== undefined) return this.deaf;
    // It may be the only one who knows where the others went.
    if (this.#scenario.actions.some(({ kind }) => kind === "move")) return undefined;
    const { files, network, engine } = this.#cluster;
    const random = engine.random("core");
    if (!random.chance(0.25)) return undefined;
    // Where members change, only from a cluster that is done with that, and has none to spare.
    const { members } = this.#cluster.checks.data.newestState();
    const spoken = members.every(({ promotable, sync }) => promotable && sync);
    if (this.#scenario.spares !== undefined && !(spoken && isWhole(this.#cluster)))
      return undefined;
    const whole = members
      .map(({ node_id }) => this.#cluster.host(node_id))
      .filter(({ config }) => {
        const dir = config.data?.dir ?? "";
        return dataOf(files, dir)?.torn === false && !files.has(`${dir}.marker`);
      });
    if (whole.length < Math.max(members.length, 3)) return undefined;
    const lost = random.pick(whole);
    // A majority must be left.
    const voters = members.filter(({ voter }) => voter);
    const left = voters.filter(({ node_id }) => node_id !== lost.id);
    if (left.length * 2 <= voters.length) return undefined;
    lost.supervised = false;
    network.dark.add(lost.id);
    for (const proc of lost.procs()) engine.kill(proc);
    engine.trace(lost.id, "stays dead");
    return lost.id;
  }

  /** Everything has healed, and nothing goes on. */
  relent(): void {
    this.#operator.relent();
  }

  #durableStep(proc: Proc): void {
    for (let at = this.#steps.length - 1; at >= 0; at -= 1) {
      const armed = this.#steps[at];
      if (armed === undefined || !armed.match(proc)) continue;
      armed.left -= 1;
      if (armed.left > 0) continue;
      this.#steps.splice(at, 1);
      armed.run(proc);
    }
  }

  #arm(name: string, node: number, amount: number, run: (proc: Proc) => void): void {
    const left = 1 + Math.floor(amount * amount * 60);
    this.#steps.push({ left, run, match: (proc) => proc.name === name && proc.node === node });
  }

  #freeze(procs: readonly Proc[], ms: number): void {
    const { engine } = this.#cluster;
    for (const proc of procs) engine.pause(proc);
    const thaw = () => {
      for (const proc of procs) engine.resume(proc);
    };
    engine.after(ms, "fault.thaw", thaw);
    this.#undo.push(thaw);
  }

  #cut(pairs: readonly (readonly [number, number])[], ms: number): void {
    const { engine, network } = this.#cluster;
    for (const [from, to] of pairs) network.cut(from, to);
    let left = pairs;
    const heal = () => {
      for (const [from, to] of left) network.heal(from, to);
      left = [];
    };
    engine.after(ms, "fault.heal", heal);
    this.#undo.push(heal);
  }

  #kill(node: number, { ms, dark }: { readonly ms: number; readonly dark: boolean }): void {
    const { engine, network } = this.#cluster;
    const host = this.#cluster.host(node);
    if (dark) network.dark.add(node);
    host.supervised = false;
    for (const proc of host.procs()) engine.kill(proc);
    const back = () => {
      network.dark.delete(node);
      host.startWorker();
    };
    engine.after(ms, "fault.back", back);
  }

  #pairs(node: number): (readonly [number, number])[] {
    const others = [...this.#cluster.hosts.keys()].filter((id) => id !== node);
    return others.flatMap((id) => [[node, id] as const, [id, node] as const]);
  }

  #primary(): number | undefined {
    return this.#cluster.primary()?.node;
  }

  #act(action: Action): void {
    const { engine } = this.#cluster;
    const primary = this.#primary();
    engine.trace(
      "--",
      `fault ${action.kind} node ${action.node} other ${action.other} ${action.ms} ms`,
    );
    this.injected += 1;
    const aims =
      action.kind === "kill_primary" || action.kind === "cut_primary" || action.node === 0;
    const node = aims ? (primary ?? action.node) : action.node;
    const fatal = [
      "kill_server",
      "kill_postmaster",
      "kill_node",
      "power_cut",
      "kill_primary",
      "move",
    ];
    if (node === primary && fatal.includes(action.kind)) this.primaryFaults += 1;
    this.#do({ ...action, node });
  }

  #do({ kind, node, other, ms, amount }: Action): void {
    const { engine, network, checks } = this.#cluster;
    const host = this.#cluster.host(node);
    const server = host.server();
    switch (kind) {
      case "kill_store":
        host.killStore();
        return;
      case "kill_worker":
        host.killWorker();
        return;
      case "kill_server":
        server?.end();
        return;
      case "kill_postmaster":
        server?.killPostmaster();
        return;
      case "kill_node":
      case "kill_primary":
        this.#kill(node, { ms: 300 + ms, dark: false });
        return;
      case "move":
        this.#kill(node, { ms: 300 + ms, dark: false });
        host.move();
        return;
      case "power_cut":
        this.#kill(node, { ms: 300 + ms, dark: true });
        return;
      case "freeze_node":
        this.#freeze(host.procs(), ms);
        return;
      case "freeze_worker":
        if (host.worker !== undefined) this.#freeze([host.worker], ms);
        return;
      case "freeze_store":
        if (host.store !== undefined) this.#freeze([host.store.proc], ms);
        return;
      case "freeze_server":
        if (server !== undefined) this.#freeze([server.proc, server.work], ms);
        return;
      case "partition":
      case "cut_primary":
        this.#cut(this.#pairs(node), ms);
        return;
      case "one_way":
        this.#cut(
          amount < 0.5 ? [[node, other]] : this.#pairs(node).filter(([from]) => from === node),
          ms,
        );
        return;
      case "slow_link":
        for (const [from, to] of this.#pairs(node)) {
          const link = network.link(from, to);
          link.maxMs = 5 + amount * 400;
          this.#undo.push(() => Object.assign(link, { maxMs: 0.6 }));
        }
        return;
      case "lossy":
        for (const [from, to] of this.#pairs(node)) {
          const link = network.link(from, to);
          link.loss = amount * 0.3;
          this.#undo.push(() => Object.assign(link, { loss: 0 }));
        }
        return;
      case "slow_disk":
        checks.plan = { ...checks.plan, slowDisk: 1 + amount * 200 };
        engine.after(ms, "fault.fast_disk", () => {
          checks.plan = { ...checks.plan, slowDisk: 1 };
        });
        return;
      case "step_kill_worker":
        this.#arm("worker", node, amount, (proc) => engine.kill(proc));
        return;
      case "step_kill_store":
        this.#arm("control", node, amount, (proc) => engine.kill(proc));
        return;
      case "step_pause_worker":
        this.#arm("worker", node, amount, (proc) => this.#freeze([proc], ms));
        return;
      case "switchover":
        this.#request(node);
        return;
      case "kill_all":
        for (const id of this.#cluster.hosts.keys()) {
          this.#kill(id, { ms: 300 + engine.random("crash").between(0, ms), dark: amount < 0.5 });
        }
        return;
      case "drop_stream":
        server?.receiver.end();
        return;
      case "deaf_leader":
        this.#deafen();
        return;
      case "full_leader":
        this.#fill();
        return;
      case "old_store":
        this.#putBack(host, ms);
        return;
      case "retime":
        this.#cluster.host(node).retime(amount);
        return;
      case "add_node":
      case "remove_node":
      case "replace_node":
      case "set_node":
        if (kind === "replace_node" && node === this.#primary()) this.primaryFaults += 1;
        if (!this.#operator.begin(kind, { node, ms, amount })) engine.trace(node, `no ${kind} now`);
        return;
    }
  }

  /** As an operator's call does it: handed to the leader's store, more than once under one key. */
  #request(target: number): void {
    const { engine } = this.#cluster;
    const key = engine.random("uuid").uuid();
    const args = { target, allow_data_loss: false, not_before: null, delay_ms: 0 };
    const body = { kind: "switchover", args, by: "sim" };
    const ask = new Ask(this.#cluster, { key, kind: "request", body });
    this.switchovers += 1;
    ask.handIn();
    engine.after(700, "operator.again", () => ask.handIn());
  }
}
