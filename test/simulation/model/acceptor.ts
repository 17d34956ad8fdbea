/** Twin of `sql/10_raft` and `sql/20_peer`: one call is one transaction, whole or not at all. */
import { createHash } from "node:crypto";
import { DatabaseError } from "../adapters/pg.ts";
import { applyEntry, UnknownCommand } from "./apply.ts";
import type { Row } from "./network.ts";
import type { Store } from "./store.ts";
import type { Body, LogEntry } from "./store-state.ts";

export type Args = Readonly<Record<string, unknown>>;

const num = (value: unknown) => Number(value);

export function termAt(store: Store, index: number): number | null {
  if (index === 0) return 0;
  return store.durable.log[index - 1]?.term ?? null;
}

function entryHash(before: string, entry: Omit<LogEntry, "hash">): string {
  const { index, term, kind, client, sequence, body } = entry;
  return createHash("sha1")
    .update(`${before}|${index}|${term}|${kind}|${client}|${sequence}|${JSON.stringify(body)}`)
    .digest("base64")
    .slice(0, 12);
}

export function checkSender(store: Store, args: Args): void {
  const { identity, members } = store.durable;
  const from = num(args.p_from);
  if (args.p_cluster !== identity.cluster_id) {
    throw new DatabaseError("RF008", `node ${from} belongs to another cluster`);
  }
  const member = members.find(({ node_id }) => node_id === from);
  if (member === undefined) throw new DatabaseError("RF008", `node ${from} is no member`);
  if (member.incarnation !== null && member.incarnation !== args.p_incarnation) {
    throw new DatabaseError("RF008", `node ${from} is not the incarnation this cluster knows`);
  }
}

function mayVote({ unlogged }: Store, bootId: unknown, heard: unknown): boolean {
  const marked = unlogged.silence?.boot_id === unlogged.bootId && unlogged.silence.heard === unlogged.heard;
  return marked || (bootId === unlogged.bootId && heard !== null && num(heard) === unlogged.heard);
}

function behind(store: Store, lastTerm: number, lastIndex: number): boolean {
  const { last_term, last_index } = store.durable.hard;
  return lastTerm < last_term || (lastTerm === last_term && lastIndex < last_index);
}

interface WireEntry {
  readonly i: number;
  readonly t: number;
  readonly k: string;
  readonly c: string;
  readonly s: number;
  readonly b: Body;
}

/** Raft §5.3, receiver 3 and 4: what we hold already is left alone; the first that differs goes, with all behind it. */
function storeEntries(store: Store, entries: readonly WireEntry[]): void {
  const { log, hard } = store.durable;
  const first = entries.find(({ i, t }) => log[i - 1]?.term !== t)?.i;
  if (first === undefined) return;
  store.assert(first > hard.commit_index, "R4", `a leader would cut entry ${first}, ${hard.commit_index} is committed`);
  log.length = first - 1;
  for (const { i, t, k, c, s, b } of entries) {
    if (i < first) continue;
    const entry = { index: i, term: t, kind: k, client: c, sequence: s, body: b };
    log.push({ ...entry, hash: entryHash(log.at(-1)?.hash ?? "", entry) });
    store.world.checks.stored(store, log.at(-1) as LogEntry);
  }
  const last = log.at(-1) as LogEntry;
  hard.last_index = last.index;
  hard.last_term = last.term;
}

/** Raise the commit index and apply what it covers, in the transaction that learnt of it. */
function learnCommit(store: Store, commit: number): void {
  const { hard, log } = store.durable;
  if (commit > hard.commit_index) {
    hard.commit_index = commit;
    store.world.checks.committed(store, commit);
  }
  if (hard.applied_index === hard.commit_index) return;
  while (hard.applied_index < hard.commit_index) {
    const entry = log[hard.applied_index] as LogEntry;
    try {
      const outcome = applyEntry(store.durable, entry);
      store.world.checks.applied(store, entry, outcome);
      if (entry.kind === "keep_primary" && outcome === "ok") store.unlogged.handedOver.delete(num(entry.body.epoch));
    } catch (error) {
      // A command nobody knows stops the applied index there; the log goes on.
      if (!(error instanceof UnknownCommand)) throw error;
      hard.alarm = `entry ${entry.index} (${entry.kind}) cannot be applied: ${error.message}`;
      break;
    }
    hard.applied_index = entry.index;
  }
  store.notify("applied");
}

/** The functions that peers call. */
export const PEER: Readonly<Record<string, (store: Store, args: Args) => readonly Row[]>> = {
  "peer.hello": (store) => {
    const { node_id, incarnation } = store.durable.identity;
    return [{ node_id, incarnation, boot_id: store.unlogged.bootId, heard: String(store.unlogged.heard) }];
  },
  "peer.heartbeat": (store, args) => {
    const { hard } = store.durable;
    const term = num(args.p_term);
    const reason =
      term < hard.current_term
        ? "stale_term"
        : term > hard.current_term || hard.leader_id !== num(args.p_from)
          ? "unknown_leader"
          : "heard";
    if (reason === "heard") store.unlogged.heard += 1;
    return [{ term: String(hard.current_term), success: reason === "heard", reason }];
  },
  "peer.pre_vote": (store, args) => {
    const { hard } = store.durable;
    const reason =
      num(args.p_term) <= hard.current_term
        ? "stale_term"
        : behind(store, num(args.p_last_term), num(args.p_last_index))
          ? "log_behind"
          : !mayVote(store, args.p_boot_id, args.p_heard)
            ? "not_marked"
            : "granted";
    return [
      {
        term: String(hard.current_term),
        granted: reason === "granted",
        reason,
        boot_id: store.unlogged.bootId,
        heard: String(store.unlogged.heard),
      },
    ];
  },
  "peer.request_vote": requestVote,
  "peer.append_entries": appendEntries,
  "peer.take_lead": (store, args) => {
    const { hard } = store.durable;
    const mine = hard.current_term === num(args.p_term) && hard.leader_id === num(args.p_from);
    if (mine) {
      store.unlogged.transfer = num(args.p_term);
      store.notify("transfer");
    }
    return [{ taken: mine }];
  },
  "peer.report": (store, args) => {
    const epoch = num(args.p_epoch);
    const { pledge } = store.durable;
    const report = pledge === epoch ? store.unlogged.reports.get(epoch) : undefined;
    const handed = store.unlogged.handedOver.get(epoch);
    return [
      {
        pledge: String(pledge),
        history_epoch: report === undefined ? null : String(report.history_epoch),
        lsn: report?.lsn ?? null,
        shutdown_lsn: handed?.shutdown_lsn ?? null,
        problem: handed?.problem ?? null,
      },
    ];
  },
  "peer.gossip": (store, args) => {
    store.takeGossip(args.p_rows);
    const own = store.ownRow();
    return [{ own: own === null ? null : JSON.stringify(own) }];
  },
  "peer.suspect": (store, args) => {
    const row = JSON.parse(String(args.p_row));
    if (row.node_id !== num(args.p_from)) {
      throw new DatabaseError("RF008", `node ${args.p_from} may only speak of itself`);
    }
    store.takeGossip(JSON.stringify([row]));
    store.notify("suspect");
    return [{ suspect: "" }];
  },
  "peer.submit": (store, args) => {
    const { hard, identity, proposals } = store.durable;
    if (hard.leader_id !== identity.node_id) throw new DatabaseError("RF001", "this node does not lead");
    const client = String(args.p_key);
    const waiting = store.unlogged.inbox.some((one) => one.client === client);
    if (!proposals.has(`${client}:1`) && !waiting) {
      const body = JSON.parse(String(args.p_body));
      store.unlogged.inbox.push({ client, sequence: 1, kind: String(args.p_kind), body });
      store.notify("inbox");
    }
    return [{ submit: "" }];
  },
};

/** Raft §5.2, §5.4.1. Without a mark we do not even adopt the term (H54). */
function requestVote(store: Store, args: Args): readonly Row[] {
  const { hard } = store.durable;
  const term = num(args.p_term);
  const from = num(args.p_from);
  if (term > hard.current_term && (args.p_transfer === true || mayVote(store, args.p_boot_id, args.p_heard))) {
    hard.current_term = term;
    hard.voted_for = null;
    hard.leader_id = null;
  }
  const reason =
    term > hard.current_term
      ? "not_marked"
      : term < hard.current_term
        ? "stale_term"
        : (hard.voted_for ?? from) !== from
          ? "already_voted"
          : hard.leader_id !== null
            ? "leader_known"
            : behind(store, num(args.p_last_term), num(args.p_last_index))
              ? "log_behind"
              : "granted";
  if (reason === "granted") {
    hard.voted_for = from;
    store.world.checks.voted(store, term, from);
  }
  return [{ term: String(hard.current_term), granted: reason === "granted", reason }];
}

/** Raft §5.3, in one transaction with the commit index and what it lets be applied. */
function appendEntries(store: Store, args: Args): readonly Row[] {
  const { hard, log } = store.durable;
  const term = num(args.p_term);
  const from = num(args.p_from);
  const previous = num(args.p_prev_index);
  const answer = (success: boolean, reason: string, index: number, last: number | null) => [
    {
      term: String(hard.current_term),
      success,
      reason,
      last_index: String(index),
      last_term: last === null ? null : String(last),
      applied_index: String(hard.applied_index),
    },
  ];
  if (term < hard.current_term) return answer(false, "stale_term", hard.last_index, hard.last_term);
  if (term > hard.current_term || hard.leader_id === null) {
    if (term > hard.current_term) hard.voted_for = null;
    hard.current_term = term;
    hard.leader_id = from;
    store.notify("leader");
  }
  store.assert(hard.leader_id === from, "R1", `nodes ${hard.leader_id} and ${from} both lead term ${term}`);
  store.unlogged.heard += 1;

  const at = termAt(store, previous);
  if (at !== num(args.p_prev_term)) {
    // Where to try next: our end, or just before the whole of the term that differs.
    let hint = Math.min(previous - 1, log.length);
    while (hint > 0 && at !== null && (log[hint - 1] as LogEntry).term >= at) hint -= 1;
    return answer(false, "log_conflict", hint, termAt(store, hint));
  }
  const entries = JSON.parse(String(args.p_entries)) as WireEntry[];
  const match = previous + entries.length;
  storeEntries(store, entries);
  learnCommit(store, Math.min(num(args.p_commit), match));
  return answer(true, "appended", match, termAt(store, match));
}
