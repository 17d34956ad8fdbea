/** What the demo looks for: events to tell, copies under way, and the moment when all is ready. */
import type { Clock } from "../../clock/clock.ts";
import { type ClusterView, clusterView } from "../../db/cluster.ts";
import { connect } from "../../db/connect.ts";
import { events, lastEventId, type ProgressRow, progress, resume } from "../../db/pg-replica.ts";
import { bytes } from "../status.ts";
import type { Store } from "../store.ts";
import type { DemoNode } from "./layout.ts";
import type { Narrator } from "./narrator.ts";
import { watchStores } from "./stores.ts";

/** Why the demo paused failovers; it lifts no other pause. */
export const PAUSE = "demo stopped";

export interface Watch {
  /** Resolves with the primary's name once the cluster is formed, serves, and every member is attached. */
  readonly ready: Promise<string>;
  /** Resolves once nothing is looked at any more. */
  readonly ended: Promise<void>;
}

const STARTING_POLL_MS = 50;
/** Copies under way tell nobody how far they are; of events we hear. */
const COPYING_POLL_MS = 300;
const POLL_MS = 3000;
/** The news of a failover are told together. */
const NEWS_MS = 500;
const PROGRESS_EVERY_MS = 1000;

export interface WatchSetup {
  readonly nodes: readonly DemoNode[];
  readonly clock: Clock;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
  /** The cluster begins now. */
  readonly fresh: boolean;
}

export function startWatch(setup: WatchSetup): Watch {
  const { nodes, clock, narrator, signal } = setup;
  const tellEvents = eventTeller(setup);
  const tellProgress = progressTeller(nodes, clock, narrator);
  const tellPause = pauseTeller(narrator);
  const judge = readiness(nodes);
  const { promise: ready, resolve } = Promise.withResolvers<string>();
  let isReady = false;
  let copying = false;
  const look = async (store: Store) => {
    await tellEvents(store);
    const jobs = await progress(store);
    copying = jobs.length > 0;
    tellProgress(jobs);
    if (isReady) return;
    const view = await clusterView(store);
    if (view.paused_why === PAUSE) await resume(store);
    else tellPause(view.paused_why);
    const primary = await judge(view);
    if (primary === undefined) return;
    isReady = true;
    resolve(primary);
  };
  const everyMs = () => {
    if (!isReady) return STARTING_POLL_MS;
    return copying ? COPYING_POLL_MS : POLL_MS;
  };
  const restMs = () => (isReady ? NEWS_MS : 0);
  return { ready, ended: watchStores({ nodes, clock, signal, everyMs, restMs, look }) };
}

/**
 * Every event once, in order, from whichever store knows it first. Of a cluster that lived before, what
 * stands there at the first look is history: pg_replica.events() tells it.
 */
function eventTeller({ nodes, narrator, fresh }: Pick<WatchSetup, "nodes" | "narrator" | "fresh">) {
  let told = fresh ? 0n : undefined;
  return async (store: Store): Promise<void> => {
    told ??= await lastEventId(store);
    for (const row of await events(store, told)) {
      if (row.event_id <= told) continue; // another store was faster
      told = row.event_id;
      const what = row.event.replaceAll("_", " ").replace(/^cluster /, "");
      const why = row.reason === null ? "" : `: ${row.reason}`;
      narrator.say(nameOf(nodes, row.node_id), `${what}${why}`, Date.now() - row.at.getTime());
    }
  };
}

function nameOf(nodes: readonly DemoNode[], id: number | null): string {
  return nodes.find(({ config }) => config.node.id === id)?.config.node.name ?? "cluster";
}

function progressTeller(nodes: readonly DemoNode[], clock: Clock, narrator: Narrator) {
  const last = new Map<number, { at: number; text: string }>();
  return (rows: readonly ProgressRow[]): void => {
    for (const { node_id, job, phase, done_bytes, total_bytes } of rows) {
      const total = total_bytes === null ? "" : ` of ${bytes(total_bytes)}`;
      const text = `${job}: ${phase}, ${bytes(done_bytes)}${total}`;
      const before = last.get(node_id);
      const soon = before !== undefined && clock.now() - before.at < PROGRESS_EVERY_MS;
      if (soon || before?.text === text) continue;
      last.set(node_id, { at: clock.now(), text });
      narrator.say(nameOf(nodes, node_id), text);
    }
  };
}

/** Somebody else's pause holds up a cluster that starts: say it once, and how it ends. */
function pauseTeller(narrator: Narrator) {
  let told: string | null = null;
  return (why: string | null): void => {
    if (why !== null && why !== told) {
      narrator.say("cluster", `paused (${why}): it waits for select pg_replica.resume()`);
    }
    told = why;
  };
}

/**
 * Observations may be left over from before a stop: a member counts once its beat has moved since we
 * first saw it. At the end the primary itself is asked, over TCP, as a client would.
 */
function readiness(nodes: readonly DemoNode[]) {
  const firstBeats = new Map<string, bigint>();
  return async (view: ClusterView): Promise<string | undefined> => {
    const fresh = view.observed.filter(({ node_id, beat }) => {
      const key = `${view.node_id} ${node_id}`;
      if (!firstBeats.has(key)) firstBeats.set(key, beat);
      return firstBeats.get(key) !== beat;
    });
    const [epoch] = view.epochs;
    const settled = view.formed && view.next_rule === null && ruleIsRaised(view);
    if (!settled || epoch?.state !== "serving") return undefined;
    const primary = fresh.find(({ node_id }) => node_id === epoch.node_id);
    const standbys = fresh.filter(({ state }) => state === "streaming");
    const attached = standbys.filter(({ node_id }) => primary?.attached.includes(node_id));
    if (primary?.writable !== true || attached.length + 1 < nodes.length) return undefined;
    const node = nodes.find(({ config }) => config.node.id === epoch.node_id);
    return node !== undefined && (await takesWrites(node)) ? node.config.node.name : undefined;
  };
}

function ruleIsRaised({ mode, rule, members }: ClusterView): boolean {
  const data = members.filter(({ data_port }) => data_port !== null).length;
  return mode !== "quorum" || rule.k >= Math.floor(data / 2);
}

async function takesWrites({ config }: DemoNode): Promise<boolean> {
  if (config.data === undefined) return false;
  const client = await connect({
    host: config.data.host,
    port: config.data.port,
    user: "postgres",
    password: config.superuserPassword ?? "",
    tls: config.tls && { ca: config.tls.ca },
    applicationName: "pg-replica demo",
    connectLimitMs: 1000,
    statementLimitMs: 1000,
  });
  try {
    const { rows } = await client.query<{ writes: boolean }>(
      "select not pg_catalog.pg_is_in_recovery() as writes",
    );
    return rows[0]?.writes === true;
  } finally {
    await client.end();
  }
}
