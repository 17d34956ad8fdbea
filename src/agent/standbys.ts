/** Who streams from this primary: whose confirmations count, and who only says so. */
import {
  formatLsn,
  JOINER_PREFIX,
  nodeRole,
  STANDBY_PREFIX,
  slotName,
  standbyName,
} from "../core/ids.ts";
import type { Attached } from "../db/data-server.ts";
import type { AgentView } from "../db/node.ts";

/** Cohort names, each once, that hold the WAL up to `at`; names compare exactly (H07). */
export function confirming(
  attached: readonly Attached[],
  view: Pick<AgentView, "node_id" | "members" | "rule_cohort">,
  at: bigint,
): Set<string> {
  const names = cohortNames(view);
  return new Set(
    attached
      .filter((row) => strangeness(row, view) === undefined)
      .filter(
        ({ flush_lsn, state }) => state === "streaming" && flush_lsn !== null && flush_lsn >= at,
      )
      .map(({ application_name }) => application_name)
      .filter((name) => names.has(name)),
  );
}

export function cohortNames(
  view: Pick<AgentView, "node_id" | "members" | "rule_cohort">,
): Set<string> {
  const others = view.members.filter(
    ({ node_id }) => node_id !== view.node_id && view.rule_cohort.includes(node_id),
  );
  return new Set(
    others.flatMap(({ node_id, incarnation }) =>
      incarnation === null ? [] : [standbyName(node_id, incarnation)],
    ),
  );
}

/**
 * A name that stands, or may have stood, in a list of ours; names compare without regard to case (H07). A joiner's
 * never does (H39).
 */
export function isOurs(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith(STANDBY_PREFIX) && !lower.startsWith(JOINER_PREFIX);
}

/** Why this connection is not what its name says; undefined when it is, or uses no name of ours. Pure. */
export function strangeness(
  row: Attached,
  view: Pick<AgentView, "members">,
  flushed?: bigint,
): string | undefined {
  if (row.state !== "streaming" && row.state !== "catchup") return undefined;
  if (isOurs(row.application_name)) {
    const member = view.members.find(
      ({ node_id, incarnation }) =>
        incarnation !== null && standbyName(node_id, incarnation) === row.application_name,
    );
    if (member === undefined) return "is the name of no member";
    const { node_id } = member;
    if (row.usename !== nodeRole(node_id)) return `logged in as ${row.usename}, which is not it`;
    if (row.slot !== slotName(node_id))
      return `streams a second time, without slot ${slotName(node_id)}`;
  }
  if (flushed === undefined || row.flush_lsn === null) return undefined;
  return isOurs(row.application_name) && row.flush_lsn > flushed
    ? `reports ${formatLsn(row.flush_lsn)}, beyond this primary's end ${formatLsn(flushed)}`
    : undefined;
}
