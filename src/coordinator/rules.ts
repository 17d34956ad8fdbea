/**
 * What the leader does next, as a table.
 *
 * Read a row as "when …, do …, because …". The first matching row wins; `pos` names a row in logs,
 * events and issues, and leaves gaps. A word left out of `when` matches anything. Nothing here has a
 * clock, chance or I/O: the same facts give the same decision on whichever node leads.
 */
import { rowFor, type TableRow } from "../core/rule-table.ts";
import { ACTS, type Act, type Command } from "./commands.ts";
import type { Facts } from "./facts.ts";
import { read, type Situation } from "./situation.ts";

export interface RuleRow extends TableRow<Situation> {
  readonly pos: number;
  readonly act: Act;
  readonly why: string;
}

// biome-ignore format: one row, one line
export const RULES: readonly RuleRow[] = [
  // 1xx A request that ended is answered, whatever else goes on.
  { pos: 110, when: { request: "failed" }, act: "fail_request", why: "the request cannot be met" },
  { pos: 120, when: { request: "done" }, act: "finish_request", why: "what was asked for is done" },

  // 2xx Founding: Raft's log says that no epoch is known to a majority (H48).
  { pos: 210, when: { epoch: "none", founder: "ready" }, act: "found", why: "this node's data directory is new, and no primary was ever appointed" },
  { pos: 220, when: { epoch: "none", founder: "witness" }, act: "transfer_to_data", why: "a witness cannot found: a data member must lead" },
  { pos: 230, when: { epoch: "none" }, act: "wait", why: "this node's data directory is being made" },

  // 3xx An epoch is opened: pledges and reports, then one appointment.
  { pos: 305, when: { epoch: "opened", choice: "left_out" }, act: "rule_back", why: "the half-made commit rule leaves out who is to be primary" },
  { pos: 310, when: { epoch: "opened", choice: "ready" }, act: "appoint", why: "enough pledges and reports: the best report wins" },
  { pos: 320, when: { epoch: "opened", request: "start" }, act: "run_request", why: "the failover asked for is under way" },
  { pos: 330, when: { epoch: "opened", choice: "blocked" }, act: "say_blocked", why: "pledges or reports are missing for long" },
  { pos: 340, when: { epoch: "opened" }, act: "wait", why: "pledges and reports are being made" },

  // 4xx One epoch, one promotion: it is seen, or the next epoch ends it (H46).
  { pos: 410, when: { epoch: "appointed", promotion: "seen" }, act: "promoted", why: "it promoted and wrote its stamp" },
  { pos: 420, when: { epoch: "appointed", health: "lost" }, act: "give_up", why: "the appointed node was lost before it promoted" },
  { pos: 430, when: { promotion: "late" }, act: "give_up", why: "what the appointed node owes is over its limit" },
  { pos: 440, when: { epoch: "promoted", promotion: "seen" }, act: "serving", why: "its gate is open: enough standbys hold its stamp" },
  { pos: 450, when: { epoch: "promoted", health: "lost" }, act: "give_up", why: "the primary was lost before its gate opened" },
  { pos: 455, when: { epoch: "promoted", chore: "rule_next" }, act: "rule_next", why: "too few standbys are there to open its gate, and the mode goes on without them" },
  { pos: 460, when: { epoch: "appointed", request: "start" }, act: "run_request", why: "the failover asked for is under way" },
  { pos: 470, when: { epoch: "promoted", request: "start" }, act: "run_request", why: "the failover asked for is under way" },
  { pos: 480, when: { epoch: "appointed" }, act: "wait", why: "the appointed node promotes" },
  { pos: 490, when: { epoch: "promoted" }, act: "wait", why: "standbys attach, then the gate opens" },

  // 5xx A planned hand-over is under way.
  { pos: 510, when: { handover: "done" }, act: "open_after_hand_over", why: "the old primary stopped cleanly" },
  { pos: 520, when: { handover: "refused" }, act: "keep_primary", why: "the hand-over failed before the primary stopped" },
  { pos: 530, when: { handover: "under_way", health: "lost" }, act: "open_epoch", why: "the primary was lost while it handed over" },
  { pos: 540, when: { handover: "late", health: "lost" }, act: "open_epoch", why: "the primary was lost while it handed over" },
  { pos: 550, when: { handover: "late" }, act: "keep_primary", why: "the hand-over is over its limit" },
  { pos: 560, when: { handover: "under_way" }, act: "wait", why: "the primary drains and stops" },

  // 6xx The primary is lost. Pause and hold-down stop only what nobody asked for.
  { pos: 610, when: { request: "open_epoch" }, act: "open_for_request", why: "an operator asked for a failover, and the primary does not serve" },
  { pos: 620, when: { health: "lost", brake: "none" }, act: "open_epoch", why: "the primary is lost" },
  { pos: 630, when: { request: "start" }, act: "run_request", why: "the request is valid and due" },
  { pos: 640, when: { request: "hand_over" }, act: "hand_over", why: "an operator asked for it, and a standby can take over without loss" },
  { pos: 645, when: { health: "lost", brake: "untold" }, act: "say_held", why: "the primary is lost, and something holds the failover back" },
  { pos: 650, when: { health: "lost", brake: "paused" }, act: "wait", why: "the primary is lost, and automatic failover is paused" },
  { pos: 660, when: { health: "lost", brake: "hold_down" }, act: "wait", why: "the primary is silent again, too soon after the last failover" },
  { pos: 670, when: { health: "suspected" }, act: "probe", why: "the primary's store or worker is not heard: its data port decides" },
  { pos: 680, when: { health: "spared" }, act: "wait", why: "the data server serves on without its store or worker: no failover" },

  // 8xx The primary serves: steady work.
  { pos: 810, when: { chore: "attached" }, act: "attached", why: "it streams from the primary for the first time" },
  { pos: 820, when: { chore: "rule" }, act: "rule", why: "the new commit rule was proved in force" },
  { pos: 825, when: { chore: "rule_back" }, act: "rule_back", why: "who should confirm the new commit rule went away: back to the old one" },
  { pos: 830, when: { chore: "rule_next" }, act: "rule_next", why: "the commit rule is one step from what the members allow" },
  { pos: 840, when: { chore: "formed" }, act: "formed", why: "every data member has attached, and the commit rule is raised" },
  { pos: 850, when: { chore: "transfer" }, act: "transfer_to_primary", why: "one heartbeat covers both when the leader is on the primary's node" },
  { pos: 855, when: { chore: "give_way" }, act: "transfer_to_voter", why: "this leader is to leave, and the primary does not vote" },
  { pos: 860, when: { chore: "remove" }, act: "remove", why: "it is to leave, and nothing depends on it any more" },
  { pos: 870, when: { chore: "forget" }, act: "forget", why: "the cluster holds more of its history than is kept" },
  { pos: 890, when: {}, act: "wait", why: "the primary serves, and nothing is due" },
];

/** One row applied to facts: what to do, and everything needed to do it. */
export interface Decision {
  readonly pos: number;
  readonly act: Act;
  /** The row's reason and what makes it this case. */
  readonly why: string;
  readonly situation: Situation;
  /** To be proposed; absent for wait, probe and transfer. */
  readonly command?: Command;
  /** To whom leadership goes. */
  readonly transferTo?: number;
}

/** The one row that applies. Pure: same facts, same decision. */
export function decide(facts: Facts): Decision {
  const reading = read(facts);
  const { pos, act, why } = rowFor(RULES, reading.situation);
  const order = ACTS[act](reading);
  return {
    pos,
    act,
    why: order.why === undefined ? why : `${why}: ${order.why}`,
    situation: reading.situation,
    ...(order.command === undefined ? {} : { command: order.command }),
    ...(order.transferTo === undefined ? {} : { transferTo: order.transferTo }),
  };
}
