/** What others do behind our back: settings of ours overridden, names of standbys taken, other histories. */
import { join } from "node:path";
import { endBackends, flushedLsn } from "../db/data-primary.ts";
import type { Attached } from "../db/data-server.ts";
import type { AgentView } from "../db/node.ts";
import { versionOf } from "../postgres/settings.ts";
import type { Agent } from "./context.ts";
import { overriddenNow } from "./settings.ts";
import { cohortNames, strangeness } from "./standbys.ts";

/** How often the file is looked at: an override is to be gone within a second. */
const OVERRIDES_MS = 400;

export interface Lookout {
  /** After each look. Never throws. */
  watch(): Promise<void>;
}

/** One watch at a time; what it finds is told as an event and put right by the loop. */
export function createLookout(agentOf: () => Agent): Lookout {
  let watching = false;
  let seen = "";
  let lookedAt = Number.NEGATIVE_INFINITY;
  return {
    watch: async () => {
      const agent = agentOf();
      if (watching || agent.state.look === undefined || agent.state.activity !== undefined) return;
      watching = true;
      try {
        const now = agent.clock.now();
        // Beats come a little early or late.
        if (now - lookedAt >= OVERRIDES_MS * 0.75) {
          lookedAt = now;
          seen = await noticeOverrides(agent, seen);
        }
        await evictStrangers(agent);
      } catch (error) {
        const fields = { event: "agent.failed", error: String(error) } as const;
        agent.log.warn(fields, "could not look after settings and standbys");
      } finally {
        watching = false;
      }
    },
  };
}

/** ALTER SYSTEM writes a file of its own, which outranks ours: it is read again whenever it changed (F39). */
async function noticeOverrides(agent: Agent, seen: string): Promise<string> {
  const { state, store, log, paths } = agent;
  const now = await versionOf(join(paths.dataDir, "postgresql.auto.conf"));
  if (now === seen) return seen;
  const names = await overriddenNow(agent);
  if (names.length === 0) return now;
  const reason = `${names.join(", ")} was set by ALTER SYSTEM: pg_replica sets it back`;
  state.overridden = true;
  log.warn({ event: "agent.decided", names }, reason);
  await store.noteAct({ event: "setting_restored", reason, detail: { names } });
  agent.nudge();
  return now;
}

/**
 * Whoever streams under a name of ours without being that member is ended, and so is a standby that is ahead of this
 * primary: another history (H07, H20). If its confirmations counted, the gate closes until enough others hold what
 * was committed meanwhile.
 */
async function evictStrangers(agent: Agent): Promise<void> {
  const { state, view, store, log, hands } = agent;
  const { leads, attached } = state;
  if (leads === undefined || attached.length === 0) return;
  const end = state.look?.wal_lsn ?? 0n;
  if (attached.every((row) => strangeness(row, view, end) === undefined)) return;
  const { db } = await hands.get();
  // Read after the rows: a standby may not be ahead of what is flushed by now.
  const flushed = await flushedLsn(db);
  for (const row of attached) {
    const why = strangeness(row, view, flushed);
    if (why === undefined) continue;
    await endBackends(db, [row.pid]);
    const reason = `${row.application_name} ${why}: its connection was ended`;
    log.error({ event: "agent.failed", standby: row.application_name }, reason);
    await store.noteAct({ event: "standby_evicted", reason, detail: { role: row.usename } });
    if (counted(row, view) && state.leads === leads && leads.gateOpen) {
      state.leads = { ...leads, gateOpen: false, stampLsn: flushed };
      log.warn({ event: "agent.gate_closed", epoch: leads.epoch }, reason);
    }
  }
  await agent.publish();
  agent.nudge();
}

/** PostgreSQL compares these names without regard to case. */
function counted({ application_name: name }: Attached, view: AgentView): boolean {
  return [...cohortNames(view)].some((one) => one.toLowerCase() === name.toLowerCase());
}
