/** What is seen of this node's data server: facts for the table, and the row everyone else reads. */
import type { Facts } from "../core/agent-rules.ts";
import { formatLsn, type Lsn, standbyName } from "../core/ids.ts";
import { lookAt } from "../db/data-server.ts";
import { processInfo } from "../postgres/process-tree.ts";
import { type Agent, isAlive, placeOf } from "./context.ts";
import { type Disk, hasLed } from "./disk.ts";
import { waitsForOthers } from "./logical-settings.ts";
import { identify, mustRest } from "./servers.ts";
import { confirming } from "./standbys.ts";

/** A dead primary is not started again before another could have taken over. */
const GRACE_MS = 1000;
/**
 * The search for leftovers and recovery cost time that a failover needs more: this worker may well lead it, and on a
 * shared host the new primary waits for the same processors.
 */
const FAILOVER_FIRST_MS = 400;
/** After a failover, and the rest that it leaves to do. */
const SETTLED_AFTER_MS = 2000;

/** Ask the data server how it is: one that is there and says nothing becomes `hung` after a while. Never throws. */
export async function look(agent: Agent): Promise<void> {
  try {
    await ask(agent);
  } catch (error) {
    // It was not asked, for want of a file say: that is no silence of its own.
    agent.log.debug({ event: "agent.failed", error: String(error) }, "could not look");
  }
}

async function ask(agent: Agent): Promise<void> {
  const { state, clock } = agent;
  const { server } = state;
  if (server === undefined || !server.alive() || server.status() !== "ready") return;
  if (state.looking) {
    // The last question is still open: only its own limit ends it.
    noticeSilence(agent);
    return;
  }
  const asked = clock.now();
  // A stopped postmaster leaves our connection working, and every new one hanging (H05).
  if (processInfo(server.pid)?.state === "T") {
    state.silentSince ??= asked;
    noticeSilence(agent);
    return;
  }
  state.looking = true;
  try {
    const { db } = await agent.eyes.get();
    const seen = await lookAt(db);
    if (state.server !== server) return;
    if (state.unidentified) await identify(agent, db, seen);
    const attached = seen.in_recovery ? [] : seen.attached;
    Object.assign(state, { look: seen, attached, silentSince: undefined, hung: false });
    if (seen.receiver_pid !== null && seen.receiver_pid !== state.receiver) {
      state.receiver = seen.receiver_pid;
      state.usableSlots = undefined; // to be proved anew
    }
  } catch (error) {
    agent.eyes.drop();
    if (state.server !== server || !server.alive()) return;
    state.silentSince ??= asked;
    noticeSilence(agent);
    const fields = { event: "agent.failed", error: String(error) } as const;
    agent.log.debug(fields, "the data server did not answer");
  } finally {
    state.looking = false;
  }
}

function noticeSilence({ state, clock, config }: Agent): void {
  if (state.silentSince === undefined) return;
  state.hung = clock.now() - state.silentSince >= config.timing.silentMs;
}

/** The facts the table decides on. Pure but for the clock. */
export function factsOf(agent: Agent, disk: Disk, alive = isAlive(agent)): Facts {
  const { view } = agent;
  return {
    goal: goalOf(agent, disk),
    disk: disk.kind,
    server: serverOf(agent, alive),
    leads: leadsOf(agent),
    history: historyOf(agent),
    step: stepOf(agent, disk),
    rest: restOf(agent),
    rule: ruleOf(agent),
    source: ["promoted", "serving"].includes(view.epoch_state) ? "ready" : "missing",
    slots: agent.state.slotsToCopy.length > 0 ? "missing" : "in_place",
  };
}

function goalOf({ view }: Agent, disk: Disk): Facts["goal"] {
  if (view.epoch > 0n || view.goal !== "none") return view.goal;
  const founder = view.leader_id === view.node_id && view.system_identifier === null;
  return founder && disk.kind !== "foreign" ? "found" : "none";
}

function leadsOf({ view, state }: Agent): Facts["leads"] {
  const { leads } = state;
  if (leads?.epoch === view.epoch && view.primary_id === view.node_id) return "this";
  return leads !== undefined || hasLed(view) ? "other" : "nobody";
}

function historyOf({ view, state }: Agent): Facts["history"] {
  if (state.rejoin?.epoch !== view.epoch) return "same";
  return state.rejoin.by === "rewind" ? "forked" : "lost";
}

function serverOf({ state }: Agent, alive: boolean): Facts["server"] {
  if (!alive) return "down";
  if (state.unidentified) return "starting";
  if (state.promoting) return "promoting";
  if (state.leads !== undefined) return "primary";
  if (state.look === undefined) return "starting";
  return state.look.in_recovery ? "standby" : "primary";
}

function stepOf(agent: Agent, disk: Disk): Facts["step"] {
  const { view, state } = agent;
  switch (view.goal) {
    case "pledged":
      if (view.reported) return "done";
      return disk.kind === "marked" && disk.nothingFrom === undefined ? "spent" : "todo";
    case "primary":
      if (state.leads?.epoch === view.epoch) return state.leads.gateOpen ? "done" : "todo";
      return view.followed >= view.epoch ? "spent" : "todo";
    case "hand_over":
      return view.handed_over ? "done" : "todo";
    case "standby": {
      const upstream = state.wanted?.upstream;
      const right =
        upstream?.nodeId === view.primary_id &&
        upstream?.epoch === view.epoch &&
        upstream.as === "member";
      const shown = state.listening && state.wanted?.gate === "open";
      return right && shown && view.followed === view.epoch ? "done" : "todo";
    }
    case "none":
    case "removed":
      return "done";
  }
}

function restOf(agent: Agent): Facts["rest"] {
  const { state, clock, view } = agent;
  const downMs = clock.now() - (state.downSince ?? clock.now());
  if (!state.gone) {
    // Who was primary owes the proof; who was not starts again without, and as seldom as anybody (H70).
    const owesProof = view.goal === "primary" || view.goal === "hand_over";
    if (!owesProof && mustRest(agent)) return "fresh";
    // Without a quorum rule only the proof lets anybody take over (H05).
    const canWait = state.died && view.rule_k > 0 && downMs < FAILOVER_FIRST_MS;
    return canWait ? "fresh" : "unproved";
  }
  if (mustRest(agent)) return "fresh";
  const graceMs = view.goal === "primary" ? GRACE_MS : FAILOVER_FIRST_MS;
  return downMs < graceMs ? "fresh" : "old";
}

function ruleOf(agent: Agent): Facts["rule"] {
  const { state, view } = agent;
  if (state.overridden || waitsForOthers(agent) || upstreamHasMoved(agent)) return "changed";
  if (state.wanted?.upstream?.settled === false && hasSettled(agent)) return "changed";
  if (state.leads !== undefined && state.ruleInForce?.version !== view.rule_version)
    return "changed";
  const shown = state.look?.standby_names ?? view.standby_names;
  const written = state.wanted?.standbyNames ?? view.standby_names;
  return shown === view.standby_names && written === view.standby_names ? "in_force" : "changed";
}

/** The member it streams from is reached elsewhere than our file says, in the same epoch. */
function upstreamHasMoved({ state, view }: Agent): boolean {
  const { wanted, upstreamAt } = state;
  return wanted?.upstream !== undefined && upstreamAt !== placeOf(view, wanted.upstream.nodeId);
}

/** It has streamed from its upstream for a while: what is written of that stays so until it is pointed elsewhere. */
export function hasSettled({ state, clock }: Agent): boolean {
  const upstream = state.wanted?.upstream;
  if (upstream === undefined || upstream.settled) return upstream !== undefined;
  const sinceMs = clock.now() - (state.pointedAt ?? Number.NEGATIVE_INFINITY);
  const streams = state.look?.receiver === "streaming" && upstream.as === "member";
  return streams && sinceMs > SETTLED_AFTER_MS;
}

/** A server just adopted may be the primary: it is called a standby only once it was seen in recovery. */
function roleOf(agent: Agent, alive: boolean): "primary" | "standby" | "none" {
  const server = serverOf(agent, alive);
  if (!alive || server === "starting") return "none";
  return server === "primary" ? "primary" : "standby";
}

/** A row of node.observed, without what the store knows better. LSNs are text. */
export function rowOf(
  agent: Agent,
  disk: Pick<Disk, "systemIdentifier" | "timeline" | "problem">,
): Readonly<Record<string, unknown>> {
  const { view, state } = agent;
  const { look: seen, leads } = state;
  const alive = isAlive(agent);
  const role = roleOf(agent, alive);
  const wal = seen === undefined ? null : seen.in_recovery ? greatest(seen) : seen.wal_lsn;
  const attached = role === "primary" ? attachedMembers(agent) : [];
  const here = leads?.epoch === view.epoch;
  const standby = role === "standby" ? seen : undefined;
  return {
    role,
    state: wordOf(agent, alive),
    epoch: epochOf(agent).toString(),
    gate_open: here && leads.gateOpen,
    writable: here && leads.gateOpen && alive && !state.hung && enough(agent) && agent.lease.held(),
    timeline: leads?.timeline ?? seen?.timeline ?? disk.timeline ?? null,
    wal_lsn: textOf(wal),
    replay_lsn: textOf(standby?.replay_lsn ?? null),
    switch_lsn: here ? textOf(leads.switchLsn) : null,
    stamp_lsn: here ? textOf(leads.stampLsn ?? null) : null,
    attached,
    lag_bytes: lagBytes(standby)?.toString() ?? null,
    lag_ms: standby?.lag_ms?.toString() ?? null,
    sync_state: null,
    rule_in_force:
      role === "primary" ? (state.ruleInForce?.names ?? null) : (seen?.standby_names ?? null),
    rule_proved: role === "primary" ? (state.ruleInForce?.version.toString() ?? null) : null,
    problem: state.problem ?? disk.problem ?? null,
    system_identifier: disk.systemIdentifier ?? null,
    gone: !alive && (state.gone || state.died),
    hung: state.hung,
    slots: role === "standby" ? (state.usableSlots ?? null) : null,
  };
}

type Seen = NonNullable<Agent["state"]["look"]>;

function greatest({ receive_lsn: receive, replay_lsn: replay }: Seen): Lsn | null {
  if (receive === null || replay === null) return receive ?? replay;
  return receive > replay ? receive : replay;
}

function lagBytes(seen: Seen | undefined): bigint | null {
  const end = seen?.latest_end_lsn ?? seen?.receive_lsn ?? null;
  const replay = seen?.replay_lsn ?? null;
  if (end === null || replay === null) return null;
  return end > replay ? end - replay : 0n;
}

function epochOf({ state, view }: Agent): bigint {
  return state.leads?.epoch ?? state.wanted?.upstream?.epoch ?? view.followed;
}

/** Members streaming from here under their own name, cohort or not. */
function attachedMembers({ view, state }: Agent): number[] {
  const streaming = new Set(
    state.attached.filter((row) => row.state === "streaming").map((row) => row.application_name),
  );
  return view.members
    .filter(
      ({ node_id, incarnation }) =>
        node_id !== view.node_id &&
        incarnation !== null &&
        streaming.has(standbyName(node_id, incarnation)),
    )
    .map(({ node_id }) => node_id);
}

function enough({ view, state }: Agent): boolean {
  return confirming(state.attached, view, 0n).size >= view.rule_k;
}

function wordOf(agent: Agent, alive: boolean): string {
  const { state } = agent;
  if (state.activity !== undefined) return state.activity;
  if (!alive) return state.gone ? "fenced" : "stopped";
  const server = serverOf(agent, alive);
  if (server === "starting") return "starting";
  if (server === "primary") return "running";
  if (state.look?.receiver === "streaming" && state.wanted?.upstream?.as !== "joiner") {
    return "streaming";
  }
  return state.wanted?.upstream === undefined ? "running" : "catching_up";
}

function textOf(lsn: Lsn | null): string | null {
  return lsn === null ? null : formatLsn(lsn);
}
