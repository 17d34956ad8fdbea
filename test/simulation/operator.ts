/**
 * Who changes the members of a running cluster, as an operator does: hands a command in to whoever leads, again and
 * again under one key, until its outcome is known; and replaces nodes whose disks are lost.
 */
import type { Cluster as State } from "../oracle/twin/cluster.ts";
import { Ask } from "./ask.ts";
import { type Cluster, placeOf } from "./cluster.ts";
import { isWhole } from "./convergence.ts";
import type { Action } from "./scenario.ts";

const AGAIN_MS = 700;
const LOOK_MS = 20;
const LIMIT_MS = 60_000;
/** For the primary role to move away from who is to leave. */
const SWITCH_MS = 6000;
const MOST_MEMBERS = 5;
/** Fewer than this many are not made fewer still. */
const LEAST_MEMBERS = 3;

const COPIED = { priority: 50, clone_from: true };

type Change = "add_node" | "remove_node" | "replace_node" | "set_node";

export class Operator {
  readonly #cluster: Cluster;
  /** Nodes that something is being done to. */
  readonly #busy = new Set<number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** False when there is nothing that could be done now. */
  begin(kind: Change, { node, ms, amount }: Pick<Action, "node" | "ms" | "amount">): boolean {
    switch (kind) {
      case "add_node":
        return this.#on(this.#absent(node), (id) => this.#add(id, amount < 0.8));
      case "remove_node":
        return this.#on(this.#dispensable(node), (id) => this.#remove(id));
      case "replace_node":
        return this.#on(this.#replaceable(node), (id) => this.#replace(id, ms, amount < 0.4));
      case "set_node":
        return this.#on(this.#settable(node), (id) => this.#set(id, amount));
    }
  }

  #on(id: number | undefined, change: (id: number) => Promise<void>): boolean {
    if (id === undefined) return false;
    this.#busy.add(id);
    const { engine } = this.#cluster;
    const done = () => this.#busy.delete(id);
    engine.as(engine.spawn("operator", 0), () => void change(id).then(done));
    return true;
  }

  #state(): State {
    return this.#cluster.checks.data.newestState();
  }

  #isMember(id: number): boolean {
    return this.#state().members.some(({ node_id }) => node_id === id);
  }

  #isPrimary(id: number): boolean {
    const newest = this.#state().epochs.at(-1);
    return newest?.node_id === id || newest?.handover_to === id;
  }

  /** The one that is meant, if it will do, else another. */
  #choose(wanted: number, fits: (id: number) => boolean): number | undefined {
    const ids = [...this.#cluster.hosts.keys()].filter((id) => !this.#busy.has(id));
    return [wanted, ...ids].find((id) => ids.includes(id) && fits(id));
  }

  #absent(wanted: number): number | undefined {
    if (this.#state().members.length + this.#busy.size >= MOST_MEMBERS) return undefined;
    return this.#choose(wanted, (id) => !this.#isMember(id));
  }

  /** node.remove_node: of the voters that stay a majority answers. */
  #dispensable(wanted: number): number | undefined {
    const staying = this.#state().members.filter((one) => !one.leaving);
    if (staying.length < LEAST_MEMBERS) return undefined;
    return this.#choose(wanted, (id) => {
      const left = staying.filter((one) => one.voter && one.node_id !== id);
      const heard = left.filter(({ node_id }) => this.#answers(node_id));
      return staying.some(({ node_id }) => node_id === id) && heard.length * 2 > left.length;
    });
  }

  #answers(id: number): boolean {
    const { store, worker } = this.#cluster.host(id);
    return store?.proc.dead === false && worker?.dead === false;
  }

  /** One disk at a time, and none that alone has what the cluster needs: that would be no fault, but a loss. */
  #replaceable(wanted: number): number | undefined {
    const { members, rule, nextRule } = this.#state();
    const enough = members.filter(({ voter }) => voter).length >= LEAST_MEMBERS;
    if (!enough || rule.k === 0 || nextRule !== null || this.#busy.size > 0) return undefined;
    if (!isWhole(this.#cluster)) return undefined;
    return this.#choose(wanted, (id) => this.#isMember(id));
  }

  #settable(wanted: number): number | undefined {
    return this.#choose(wanted, (id) => this.#isMember(id));
  }

  /** A new store from an invitation, and then the command: it copies its data, and votes once it has the log. */
  async #add(id: number, votes: boolean): Promise<void> {
    const { engine } = this.#cluster;
    const host = this.#cluster.host(id);
    host.deployed = true;
    host.supervised = false;
    for (const proc of host.procs()) engine.kill(proc);
    this.#cluster.beginAnew(id, { keepData: false });
    host.startWorker();
    const { incarnation } = host;
    const outcome = await this.#propose("add_member", {
      ...{ node_id: id, name: `n${id}`, incarnation, ...placeOf(id), voter: votes, priority: 100 },
    });
    engine.trace(id, `operator: add_node ${outcome}`);
  }

  async #remove(id: number): Promise<void> {
    const { engine } = this.#cluster;
    if (this.#isPrimary(id)) await this.#switchAway(id);
    const outcome = this.#isPrimary(id)
      ? "it stays primary"
      : await this.#propose("leave", { node_id: id, force: false });
    engine.trace(id, `operator: remove_node ${outcome}`);
  }

  async #switchAway(id: number): Promise<void> {
    const { engine } = this.#cluster;
    const until = engine.now + SWITCH_MS;
    const args = { target: null, allow_data_loss: false, not_before: null, delay_ms: 0 };
    await this.#propose("request", { kind: "switchover", args }, until);
    while (this.#isPrimary(id) && engine.now < until) await engine.sleep(LOOK_MS, "operator.look");
  }

  async #replace(id: number, ms: number, keepData: boolean): Promise<void> {
    const { engine } = this.#cluster;
    const host = this.#cluster.host(id);
    host.supervised = false;
    for (const proc of host.procs()) engine.kill(proc);
    this.#cluster.beginAnew(id, { keepData });
    await engine.sleep(200 + ms, "operator.replaces");
    host.startWorker();
    // Nothing else is replaced before this one counts again.
    const until = engine.now + LIMIT_MS;
    while (engine.now < until && !isWhole(this.#cluster)) {
      await engine.sleep(10 * LOOK_MS, "operator.look");
    }
  }

  /** What an operator asked for may keep everybody from taking over: then he gives way. */
  relent(): void {
    for (const { node_id, promotable } of this.#state().members) {
      if (promotable) continue;
      this.#on(node_id, async (id) => {
        await this.#propose("set_member", { node_id: id, promotable: true });
      });
    }
  }

  async #set(id: number, amount: number): Promise<void> {
    const member = this.#state().members.find(({ node_id }) => node_id === id);
    const restore = member?.promotable === false || member?.sync === false;
    const wish = amount < 0.4 ? { promotable: false } : amount < 0.8 ? { sync: false } : COPIED;
    const body = restore ? { promotable: true, sync: true } : wish;
    const outcome = await this.#propose("set_member", { node_id: id, ...body });
    this.#cluster.engine.trace(id, `operator: set_node ${JSON.stringify(body)} ${outcome}`);
  }

  /** Its outcome; undefined when it is not known by then. */
  async #propose(
    kind: string,
    body: Readonly<Record<string, unknown>>,
    until = this.#cluster.engine.now + LIMIT_MS,
  ): Promise<string | undefined> {
    const { engine } = this.#cluster;
    const key = engine.random("operator").uuid();
    const ask = new Ask(this.#cluster, { key, kind, body: { by: "op", ...body } });
    let handedAt = Number.NEGATIVE_INFINITY;
    while (engine.now < until) {
      const found = this.#state().proposals.get(`${key}/1`);
      if (found !== undefined) return found.outcome;
      if (engine.now - handedAt >= AGAIN_MS && ask.handIn()) handedAt = engine.now;
      await engine.sleep(LOOK_MS, "operator.look");
    }
    return undefined;
  }
}
