/** What must be so once everything has healed: one primary, every member in step, and who counts is who may. */
import { fullK } from "../../src/coordinator/sync-rule.ts";
import type { Member, Cluster as State } from "../oracle/twin/cluster.ts";
import type { Cluster } from "./cluster.ts";

export function isWhole(cluster: Cluster): boolean {
  return whyUnwell(cluster, undefined) === undefined;
}

/** What keeps this cluster from being whole; `lost`: a node that stays dead. */
export function whyUnwell(cluster: Cluster, lost: number | undefined): string | undefined {
  const primary = cluster.primary();
  if (primary === undefined) return "no primary serves";
  const state = cluster.checks.data.newestState();
  for (const member of state.members) {
    const host = cluster.host(member.node_id);
    if (host.id === lost) continue;
    const why = whyNoMember(member, host.incarnation) ?? whyNotCounted(state, member, primary.node);
    if (why !== undefined) return `node ${host.id} ${why}`;
    if (host.id === primary.node) continue;
    const server = host.server();
    if (server === undefined || !server.ready) return `node ${host.id} runs no data server`;
    if (!server.inRecovery) return `node ${host.id} is a second primary`;
    if (server.receiver.upstream() !== primary)
      return `node ${host.id} does not stream from the primary`;
    if (server.receiver.broken) return `node ${host.id} cannot replay what it receives`;
    if (!host.acceptor.cluster.formed) return `node ${host.id} has not applied the log`;
  }
  return whyNotTheRule(state, primary.node, lost) ?? whyUnreached(cluster, lost);
}

/** Who moved is known at its new place by everybody. */
function whyUnreached(cluster: Cluster, lost: number | undefined): string | undefined {
  const { members } = cluster.checks.data.newestState();
  const ids = members.map(({ node_id }) => node_id).filter((id) => id !== lost);
  const hosts = ids.map((id) => cluster.host(id));
  for (const { id, config } of hosts) {
    const ports = `${config.control.port} ${config.data?.port}`;
    for (const { id: by, acceptor } of hosts) {
      const known = acceptor.cluster.members.find(({ node_id }) => node_id === id);
      if (`${known?.control_port} ${known?.data_port}` === ports) continue;
      return `node ${by} knows node ${id} at another address`;
    }
  }
  return undefined;
}

function whyNoMember(member: Member, life: string): string | undefined {
  if (member.leaving) return "is to leave, and is still there";
  if (member.incarnation !== life) return "is another life than the log knows";
  if (member.wants_vote && !member.voter) return "is to vote, and does not";
  return member.state === "attached" ? undefined : "has never attached";
}

/** H19: who may be promoted, and is to be waited for; the primary whatever it is. */
function mayCount({ node_id, promotable, sync }: Member, primary: number): boolean {
  return node_id === primary || (promotable && sync);
}

function whyNotCounted({ rule, mode }: State, member: Member, primary: number): string | undefined {
  const counts = rule.cohort.includes(member.node_id);
  if (counts === mayCount(member, primary)) return undefined;
  if (counts) return "counts for commits, and may not";
  // In `available` who was away comes back by a step of its own.
  return mode === "async" ? undefined : "may count for commits, and does not";
}

function whyNotTheRule(
  { rule, nextRule, mode, members }: State,
  primary: number,
  lost: number | undefined,
): string | undefined {
  if (nextRule !== null) return "the commit rule is half changed";
  const strangers = rule.cohort.filter((id) => !members.some(({ node_id }) => node_id === id));
  if (strangers.length > 0) return `who left counts for commits: ${strangers.join(", ")}`;
  const k = fullK(mode, members.filter((one) => mayCount(one, primary)).length);
  if (rule.k === k || lost !== undefined) return undefined;
  return `commits need ${rule.k} confirmations, and should need ${k}`;
}
