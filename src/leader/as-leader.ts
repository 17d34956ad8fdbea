/** Leading as a scope: gather, ask the coordinator, propose, until the term is over. */
import type { Pool } from "pg";
import type { Clock } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import { nodePassword } from "../config/secrets.ts";
import { dialTls } from "../config/tls.ts";
import { type Facts, newest, primaryOf, type View } from "../coordinator/facts.ts";
import { isInferred } from "../coordinator/flapping.ts";
import { type Decision, decide } from "../coordinator/rules.ts";
import { nodeRole } from "../core/ids.ts";
import { type ClusterView, clusterView } from "../db/cluster.ts";
import { probeDataServer } from "../db/data-server.ts";
import type { Hints } from "../db/hints.ts";
import type { Log } from "../log/logger.ts";
import { type Leadership, NotLeader, UnknownOutcome } from "../raft/raft.ts";
import { Wakeup } from "../raft/wakeup.ts";
import { Gatherer } from "./gather.ts";
import { keepGossiping } from "./gossip.ts";
import { PrimaryWatch, type Target } from "./watch.ts";

export interface LeadOptions {
  readonly leadership: Leadership;
  /** The pool of the own control store. */
  readonly store: Pool;
  readonly config: Pick<Config, "node" | "clusterId" | "peerSecret" | "timing" | "tls" | "dir">;
  readonly clock: Clock;
  readonly log: Log;
  readonly hints: Hints;
  /** The worker's own, with what it remembers; without it each leadership starts blank. */
  readonly watch?: PrimaryWatch;
  /** Where the view comes from; default: the own store. */
  readonly readView?: () => Promise<ClusterView>;
}

/** Nothing is going on, and this node's own news wake the loop at once. */
const QUIET_MS = 1000;
/** The primary is elsewhere, or somebody waits: its reach and the time must be looked at. */
const WATCHFUL_MS = 100;
/** An epoch, a hand-over or a request is under way; news ring, and a look costs time that others need then. */
const BUSY_MS = 40;
/** It has been under way for so long that it waits for somebody. */
const PATIENT_MS = 50;
const PATIENT_AFTER_MS = 3000;
/** Members' news arrive by gossip: at least this often, and while they are waited for. */
const GOSSIP_MS = 500;
const BUSY_GOSSIP_MS = 100;
/** After a refused proposal: look again, but do not spin. */
const REFUSED_MS = 20;
const TRANSFER_LIMIT_MS = 1000;

/** Lead until `leadership.signal` aborts; rejects when the own store cannot be read. */
export async function leadWhile(options: LeadOptions): Promise<void> {
  await new Leading(options).run();
}

/** A watch for this node, to be kept by its worker across leaderships. */
export function createWatch({
  config,
  clock,
}: Pick<LeadOptions, "config" | "clock">): PrimaryWatch {
  const user = nodeRole(config.node.id);
  const password = nodePassword(config, config.node.id);
  const tls = dialTls(config);
  const probe = ({ host, port }: Target, limitMs: number) =>
    probeDataServer({ host, port, user, password, tls, limitMs });
  return new PrimaryWatch({ clock, probe });
}

class Leading {
  readonly #options: LeadOptions;
  readonly #watch: PrimaryWatch;
  readonly #gatherer: Gatherer;
  readonly #bell = new Wakeup();
  readonly #log: Log;
  #view: ClusterView | undefined;
  #said = "";
  #gossipMs = GOSSIP_MS;

  constructor(options: LeadOptions) {
    const { leadership, clock, config, store, log } = options;
    this.#options = options;
    this.#log = log.child({ term: leadership.term });
    this.#watch = options.watch ?? createWatch(options);
    const onNews = () => this.#bell.wake();
    this.#watch.onNews(onNews);
    const readView = options.readView ?? (() => clusterView(store));
    this.#gatherer = new Gatherer({
      leadership,
      clock,
      watch: this.#watch,
      readView: async () => {
        this.#view = await readView();
        return this.#view;
      },
      wall: () => Date.now(),
      silentMs: config.timing.silentMs,
      leaseMs: config.timing.leaseMs,
      onNews,
    });
  }

  async run(): Promise<void> {
    const { leadership, hints, clock } = this.#options;
    const { signal } = leadership;
    const gossiping = keepGossiping({
      leadership,
      clock,
      view: () => this.#view,
      everyMs: () => this.#gossipMs,
      onNews: () => this.#bell.wake(),
      log: this.#log,
    });
    const hinting = this.#hint(hints, signal);
    try {
      while (!signal.aborted) await this.#once(signal);
    } finally {
      this.#gatherer.stop();
    }
    await Promise.all([gossiping, hinting]);
  }

  async #once(signal: AbortSignal): Promise<void> {
    this.#bell.clear();
    const facts = await this.#gatherer.look();
    if (signal.aborted) return;
    const decision = decide(facts);
    const busy = isBusy(facts.view, decision);
    const patient = Math.min(facts.epochMs, facts.leadingMs) > PATIENT_AFTER_MS;
    this.#gossipMs = busy ? (patient ? PATIENT_MS : BUSY_GOSSIP_MS) : GOSSIP_MS;
    this.#say(decision, facts.view);
    if (await this.#act(decision)) return;
    const busyMs = patient ? PATIENT_MS : BUSY_MS;
    await this.#wait(busy ? busyMs : quietMs(facts), signal);
  }

  /** One line for each change of decision. */
  #say({ pos, act, why, situation }: Decision, view: View): void {
    const key = `${pos} ${why}`;
    if (key === this.#said) return;
    this.#said = key;
    const epoch = newest(view)?.epoch ?? 0n;
    const fields = { event: "coordinator.decided", pos, act, epoch, situation } as const;
    if (QUIET.has(pos)) this.#log.debug(fields, why);
    else this.#log.info(fields, why);
  }

  /** True when the world may have changed by it, so that the next look is due at once. */
  async #act(decision: Decision): Promise<boolean> {
    const { memory } = this.#watch;
    if (decision.transferTo !== undefined) {
      memory.lastTransfer = this.#options.clock.now();
      await this.#options.leadership.transfer(decision.transferTo, TRANSFER_LIMIT_MS);
      return true;
    }
    if (decision.command === undefined) return false;
    return await this.#propose(decision);
  }

  async #propose({ command, pos, why }: Decision): Promise<boolean> {
    const { leadership, clock } = this.#options;
    if (command === undefined) return false;
    const { kind, body } = command;
    try {
      const { outcome, index } = await leadership.propose(kind, {
        at: new Date().toISOString(),
        ...body,
      });
      if (outcome === "ok") {
        this.#remember(kind, body);
        return true;
      }
      this.#log.warn({ event: "coordinator.refused", pos, kind, outcome, index }, why);
    } catch (error) {
      // Nothing was proposed, or it may yet commit: both end with this leadership, or the next look tells.
      if (!(error instanceof NotLeader || error instanceof UnknownOutcome)) throw error;
      this.#log.warn(
        { event: "coordinator.refused", pos, kind, outcome: error.name },
        error.message,
      );
    }
    await clock.sleep(REFUSED_MS, leadership.signal);
    return true;
  }

  #remember(kind: string, body: Readonly<Record<string, unknown>>): void {
    if (kind === "event") this.#gatherer.saidBlocked = String(body.reason);
    if (kind === "open_epoch" && isInferred(String(body.cause))) {
      this.#watch.memory.lastInferredFailover = this.#options.clock.now();
    }
  }

  async #hint(hints: Hints, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await hints.next(signal);
      this.#gatherer.nudge();
      this.#bell.wake();
    }
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    await Promise.race([this.#options.clock.sleep(ms, either), this.#bell.wait(either)]);
    over.abort(null);
  }
}

/** Rows that say that nothing is due, or something that is done all the time: not worth a line at each return. */
const QUIET = new Set([870, 890]);

function quietMs({ view, self }: Facts): number {
  const home = primaryOf(view) === self && view.requests.length === 0 && view.formed;
  return home ? QUIET_MS : WATCHFUL_MS;
}

function isBusy(view: View, { situation, act }: Decision): boolean {
  if (situation.epoch === "none") return false;
  if (situation.epoch !== "serving") return true;
  const settled = situation.health === "fine" && situation.handover === "none";
  return !settled || act !== "wait" || view.next_rule !== null;
}
