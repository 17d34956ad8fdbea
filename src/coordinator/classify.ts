/** What the facts say of the primary, as one word: the first step of every decision. */
import { majority } from "../core/quorum.ts";
import { type Facts, type MemberFact, nameOf, newest, primaryOf } from "./facts.ts";
import { LIMITS } from "./limits.ts";
import { bindingRules, lackingReports } from "./sync-rule.ts";

export const PRIMARY = [
  "none" /* no node is appointed */,
  "serving" /* its worker says nothing else */,
  "gone" /* its own worker says that the data server's processes are gone */,
  "hung" /* its own worker says that it is there and answers nothing */,
  "not_primary" /* it runs, and as a standby: it was restarted */,
  "node_gone" /* store refused and data port refused */,
  "node_silent" /* store silent and data port silent */,
  "store_gone" /* only the store is gone: the data port answers */,
  "store_lost" /* the same for so long that another had better take over, and can (H67) */,
  "worker_gone" /* only the worker is gone: the data port answers */,
  "lapsed" /* nobody renews its lease, whatever its data port answers */,
  "unknown" /* not enough is known yet */,
] as const;
export type PrimaryClass = (typeof PRIMARY)[number];

export const HEALTH = ["fine", "lost", "spared", "suspected"] as const;
/** lost: a failover is due · spared: something died, and the data server serves on. */
export type Health = (typeof HEALTH)[number];

const HEALTH_OF: Readonly<Record<PrimaryClass, Health>> = {
  none: "fine",
  serving: "fine",
  gone: "lost",
  hung: "lost",
  not_primary: "lost",
  node_gone: "lost",
  node_silent: "lost",
  store_gone: "spared",
  store_lost: "lost",
  worker_gone: "spared",
  lapsed: "lost",
  unknown: "suspected",
};

/** One word for what is known of the primary, and what follows from it. */
export function classifyPrimary(facts: Facts): PrimaryClass {
  const id = primaryOf(facts.view);
  if (id === undefined) return "none";
  const primary = facts.members.get(id);
  if (primary === undefined) return "unknown";
  if (primary.store.reach === "ok") return byWorker(facts, primary);
  if (!storeIsGone(facts, primary)) return "unknown";
  const bothRefused = primary.store.reach === "refused" && facts.probe.result === "refused";
  if (bothRefused) return "node_gone";
  const byPort = byDataPort(facts, "store_gone");
  const long = primary.store.sinceMs >= LIMITS.storeLostMs;
  return byPort === "store_gone" && long && canBeReplaced(facts) ? "store_lost" : byPort;
}

/** Without the primary enough members could pledge and report, one of them fit to take over. */
function canBeReplaced({ view, members }: Facts): boolean {
  const primary = primaryOf(view);
  const well = view.members.filter(({ node_id }) => {
    const { store, beatMs } = members.get(node_id) ?? {};
    const alive = beatMs !== undefined && beatMs <= LIMITS.workerAliveMs;
    return node_id !== primary && store?.reach === "ok" && alive;
  });
  const voters = view.members.filter(({ voter }) => voter).length;
  if (well.filter(({ voter }) => voter).length < majority(voters)) return false;
  const standbys = well.filter(({ node_id }) => {
    const seen = members.get(node_id)?.seen;
    return seen?.role === "standby" && !seen.gone && !seen.hung;
  });
  const ids = new Set(standbys.map(({ node_id }) => node_id));
  const enough = lackingReports(bindingRules(view), ids, view.mode).length === 0;
  return enough && standbys.some(({ promotable }) => promotable);
}

export function healthOf(primary: PrimaryClass): Health {
  return HEALTH_OF[primary];
}

/** The store answers: the word of the worker beside it counts, while that worker lives. */
function byWorker(facts: Facts, primary: MemberFact): PrimaryClass {
  const epoch = newest(facts.view);
  if (epoch?.state === "appointed") return beforePromotion(facts, primary, epoch.cause);
  const { seen, beatMs } = primary;
  if ((beatMs ?? facts.leadingMs) > LIMITS.workerAliveMs) return byDataPort(facts, "worker_gone");
  if (seen === undefined) return "unknown";
  // A row from before this leadership may be old: it is no reason to act, and good enough to wait.
  if (beatMs === undefined) {
    return seen.role === "primary" && seen.epoch === epoch?.epoch ? "serving" : "unknown";
  }
  // Seen to end, not merely down: a worker that has just started has adopted no server yet.
  if (seen.gone) return isEnough(facts, seen.state) ? "gone" : "unknown";
  if (seen.hung) return "hung";
  if (seen.role === "standby") return "not_primary";
  return seen.role === "primary" ? "serving" : "unknown";
}

/**
 * Where no standby has to confirm, a leftover backend could go on acknowledging: then only a proved fence counts
 * as an end (H05). Otherwise the pledges see to that, and a dead postmaster is enough.
 */
function isEnough({ view }: Facts, state: string): boolean {
  return Math.min(view.rule.k, view.next_rule?.k ?? view.rule.k) > 0 || state === "fenced";
}

/**
 * The appointed node is busy: it may be silent, and a founder is not even started. What its worker has
 * said since the appointment counts, and otherwise the deadline does (H46).
 */
function beforePromotion(facts: Facts, { seen, beatMs }: MemberFact, cause: string): PrimaryClass {
  const told = beatMs !== undefined && beatMs < facts.epochMs && cause !== "founding";
  if (!told || seen === undefined) return "serving";
  if (seen.gone) return "gone";
  return seen.hung ? "hung" : "serving";
}

/** Refused is seen at once; silence counts only when it has lasted. */
function storeIsGone(facts: Facts, { store }: MemberFact): boolean {
  return store.reach === "refused" || (store.reach === "silent" && store.sinceMs >= facts.silentMs);
}

/** Nobody beside the data server can speak for it: its port decides. */
function byDataPort(facts: Facts, spared: "store_gone" | "worker_gone"): PrimaryClass {
  const { result, sinceMs } = facts.probe;
  // The deadman has fenced it by now, or nobody watches over it any more: no write is acknowledged there either way.
  if (result === "answers") return facts.leaseMs > facts.leaseOverMs ? "lapsed" : spared;
  if (result === "refused") return spared === "worker_gone" ? "node_gone" : "node_silent";
  // Where the store answers the node is there, if slowly: what ends a lease ends this too, if nothing does before.
  const limitMs = spared === "worker_gone" ? LIMITS.workerAliveMs : LIMITS.probeSilentMs;
  return result === "silent" && sinceMs >= limitMs ? "node_silent" : "unknown";
}

/** The cause and the sentence that the next epoch carries. */
export function causeOf(facts: Facts, primary: PrimaryClass): { cause: string; reason: string } {
  const id = primaryOf(facts.view);
  const who = nameOf(facts.view, id);
  const beside = facts.members.get(id ?? 0)?.store.reach === "ok" ? "worker" : "store";
  const sentences: Partial<Record<PrimaryClass, [string, string]>> = {
    gone: ["data_server_gone", `the data server of ${who} is gone: its own worker says so`],
    hung: ["hung", `the data server of ${who} accepts connections and answers nothing`],
    not_primary: ["no_primary", `${who} was restarted and runs in recovery`],
    node_gone: ["node_gone", `${who} is gone: store and data port are dead`],
    store_lost: [
      "store_gone",
      `the control store of ${who} has been gone for long: another takes over before it must`,
    ],
    node_silent: ["node_silent", `${who} is silent: neither ${beside} nor data port answers`],
    lapsed: ["lease_over", `${who} has not renewed its lease: its worker is gone or cut off`],
  };
  const [cause, reason] = sentences[primary] ?? ["no_primary", `${who} does not serve`];
  return { cause, reason };
}
