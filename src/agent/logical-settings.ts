/** Settings that make logical slots survive a failover (H45). */
import { slotName, standbyName } from "../core/ids.ts";
import type { Settings } from "../postgres/settings.ts";
import type { Agent } from "./context.ts";
import { confirming } from "./standbys.ts";

/** PostgreSQL itself keeps logical slots of a standby in step with the primary's. */
export function copiesSlotsItself({ data, binaries }: Agent): boolean {
  return data.logical && binaries.major >= 17;
}

/**
 * What makes logical slots survive a failover (H45). The feedback keeps what they need from being vacuumed; a member
 * that is gone keeps it too, until its slot is dropped or has lost its WAL.
 */
export function logicalSettings(agent: Agent): Settings {
  if (!agent.data.logical) return {};
  return {
    wal_level: "logical",
    hot_standby_feedback: true,
    max_replication_slots: 40 + agent.view.members.length,
    ...(copiesSlotsItself(agent)
      ? { sync_replication_slots: true, synchronized_standby_slots: slotsToWaitFor(agent) }
      : {}),
  };
}

/**
 * Slots of the standbys that must hold a change before a logical stream gets it: any k of the cohort make it safe, and
 * those that stream hold nobody up (H45). With fewer than k there the whole cohort, as for commits.
 */
function slotsToWaitFor(agent: Agent): string {
  const { view } = agent;
  if (view.rule_k === 0) return "";
  const cohort = view.rule_cohort.filter((id) => id !== view.node_id);
  const here = streamingCohort(agent);
  return (here.length >= view.rule_k ? here : cohort).map(slotName).join(",");
}

function streamingCohort({ view, state }: Agent): number[] {
  const names = confirming(state.attached, view, 0n);
  return view.members
    .filter(
      ({ node_id, incarnation }) =>
        incarnation !== null && names.has(standbyName(node_id, incarnation)),
    )
    .map(({ node_id }) => node_id);
}

/** The running primary's logical streams wait for other slots than they should, and could do better. */
export function waitsForOthers(agent: Agent): boolean {
  const { state, view } = agent;
  if (!copiesSlotsItself(agent) || state.leads?.gateOpen !== true) return false;
  if (streamingCohort(agent).length < view.rule_k) return false;
  return state.waitedSlots !== slotsToWaitFor(agent);
}
