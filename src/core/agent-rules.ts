/**
 * What the agent does next with this node's data server, as a table.
 *
 * Read a row as "when we see …, do …, because …". The first matching row wins; `pos` names a row in logs and issues
 * and leaves gaps for insertion. A field left out of `when` matches anything. `test/agent/agent-rules.test.ts` proves
 * that every set of facts meets a row, and every row some facts.
 */

import { rowFor, type TableRow } from "./rule-table.ts";

/** What the newest committed state asks of this node; `found`: nothing was ever founded, and we lead. */
export const GOALS = [
  "none",
  "found",
  "primary",
  "standby",
  "pledged",
  "hand_over",
  "removed",
] as const;
/**
 * What lies in the data directory. `marked`: a rewind was begun and not finished (H04), or the data were found to lead
 * nowhere. `swapping`: a whole copy takes their place. `joining`: copied or rewound for the newest epoch's primary, and
 * must prove that it has its history (H39); `whole`: copied for an earlier one's. `rogue`: it took writes, and nobody
 * had appointed it (H40). `older`: a copy of an earlier time was put back.
 */
export const DISKS = [
  "absent",
  "marked",
  "swapping",
  "joining",
  "whole",
  "rogue",
  "older",
  "founding",
  "lost_founding",
  "ours",
  "foreign",
] as const;
/** What runs there. `promoting`: told to promote, and nobody waits for it any more. */
export const SERVERS = ["down", "starting", "standby", "promoting", "primary"] as const;
/** Whether a running primary is that of the newest epoch, of another, or of none. */
export const LEADS = ["this", "other", "nobody"] as const;
/** Whether this node's WAL can be continued by the newest epoch (H41), once rewound, or not at all. */
export const HISTORIES = ["same", "forked", "lost"] as const;
/**
 * How far the goal's own step is. `spent`: begun once, and never begun again in this epoch (H46); of a report, that
 * there is nothing this node can say.
 */
export const STEPS = ["todo", "done", "spent"] as const;
/** Of a server that is down: to be proved gone, down for less than the grace, proved gone for longer. */
export const RESTS = ["unproved", "fresh", "old"] as const;
/** Whether there is a primary to copy from: promoted, and not this node. */
export const SOURCES = ["ready", "missing"] as const;
/** Whether our settings in the file are those the committed state asks for, and proved so on a primary (H17). */
export const RULE_STATES = ["in_force", "changed"] as const;
/** Whether a standby has the logical slots that it would need as primary, or is to be given them. */
export const SLOT_STATES = ["in_place", "missing"] as const;

export interface Facts {
  readonly goal: (typeof GOALS)[number];
  readonly disk: (typeof DISKS)[number];
  readonly server: (typeof SERVERS)[number];
  readonly leads: (typeof LEADS)[number];
  readonly history: (typeof HISTORIES)[number];
  readonly step: (typeof STEPS)[number];
  readonly rest: (typeof RESTS)[number];
  readonly rule: (typeof RULE_STATES)[number];
  readonly source: (typeof SOURCES)[number];
  readonly slots: (typeof SLOT_STATES)[number];
}

export type Act =
  | "wait"
  | "refuse"
  | "discard"
  | "found"
  | "clone"
  | "swap"
  | "vouch"
  | "rewind"
  | "join"
  | "quarantine"
  | "start"
  | "fence"
  | "bury"
  | "report"
  | "report_void"
  | "promote"
  | "settle"
  | "apply_rule"
  | "hand_over"
  | "copy_slots"
  | "follow";

interface Rule extends TableRow<Facts> {
  readonly pos: number;
  readonly act: Act;
  readonly why: string;
}

// biome-ignore format: a table
export const RULES: readonly Rule[] = [
  // What is not ours is not touched.
  { pos: 110, when: { disk: "foreign" },       act: "refuse",  why: "the data directory is not one this cluster made" },
  { pos: 120, when: { disk: "lost_founding" }, act: "discard", why: "another data directory became the cluster's" },

  // A node that has left the cluster serves nobody; its data stay where they are.
  { pos: 130, when: { goal: "removed", server: "starting" },  act: "fence", why: "this node has left the cluster" },
  { pos: 131, when: { goal: "removed", server: "standby" },   act: "fence", why: "this node has left the cluster" },
  { pos: 132, when: { goal: "removed", server: "promoting" }, act: "fence", why: "this node has left the cluster" },
  { pos: 133, when: { goal: "removed", server: "primary" },   act: "fence", why: "this node has left the cluster" },
  { pos: 135, when: { goal: "removed" },                      act: "wait",  why: "this node has left the cluster: made anew it may join again" },

  { pos: 140, when: { disk: "swapping" },                      act: "swap",  why: "a whole copy takes the place of the data" },

  // An appointed primary that ended is proved gone, whatever became of its data: nobody takes over before (H05).
  { pos: 150, when: { goal: "primary", disk: "ours", server: "down", step: "todo" }, act: "start", why: "appointed, and not running" },
  { pos: 155, when: { goal: "primary", server: "down", rest: "unproved" },           act: "bury",  why: "the primary died: prove that nothing of it is left" },

  // A marker forbids every start; only a new copy removes it.
  { pos: 210, when: { disk: "marked", server: "starting" },  act: "fence", why: "nothing runs on an unfinished copy" },
  { pos: 211, when: { disk: "marked", server: "standby" },   act: "fence", why: "nothing runs on an unfinished copy" },
  { pos: 212, when: { disk: "marked", server: "promoting" }, act: "fence", why: "nothing runs on an unfinished copy" },
  { pos: 213, when: { disk: "marked", server: "primary" },   act: "fence", why: "nothing runs on an unfinished copy" },
  { pos: 220, when: { disk: "marked", goal: "standby", source: "ready" }, act: "clone", why: "only a new copy helps these data" },
  { pos: 225, when: { disk: "marked", goal: "pledged", step: "todo" }, act: "report_void", why: "it was being rewound: the epoch it was rewound for holds all that it had" },
  { pos: 230, when: { disk: "marked" },                      act: "wait",  why: "only a new copy helps these data, and there is no primary to copy from" },

  // Whole, unproved: it streams for the proof alone, and only from the primary it was made for.
  { pos: 240, when: { disk: "joining", server: "promoting" }, act: "fence", why: "its history is not proved" },
  { pos: 241, when: { disk: "joining", server: "primary" },   act: "fence", why: "its history is not proved" },
  { pos: 245, when: { disk: "joining", goal: "standby", source: "ready" }, act: "join", why: "it must prove that it has the primary's history" },
  { pos: 246, when: { disk: "joining", server: "starting" },  act: "fence", why: "the primary it joins is no longer the one" },
  { pos: 247, when: { disk: "joining", server: "standby" },   act: "fence", why: "the primary it joins is no longer the one" },
  { pos: 250, when: { disk: "joining" },                      act: "wait",  why: "its history is not proved, and there is no primary to join" },

  // Whole, of an earlier epoch's primary: by its own stamps it may become this node's data, which report and follow.
  { pos: 260, when: { disk: "whole", server: "promoting" }, act: "fence", why: "nothing is proved of this copy" },
  { pos: 261, when: { disk: "whole", server: "primary" },   act: "fence", why: "nothing is proved of this copy" },
  { pos: 265, when: { disk: "whole", server: "standby", goal: "pledged" }, act: "vouch", why: "its stamps must be those that were appointed" },
  { pos: 266, when: { disk: "whole", server: "standby", goal: "standby" }, act: "vouch", why: "its stamps must be those that were appointed" },
  { pos: 270, when: { disk: "whole", server: "down", rest: "fresh" },      act: "wait",  why: "it has just ended" },
  { pos: 275, when: { disk: "whole", server: "down", goal: "pledged" },    act: "start", why: "a copy must recover before it can say what it is" },
  { pos: 276, when: { disk: "whole", server: "down", goal: "standby" },    act: "start", why: "a copy must recover before it can say what it is" },
  { pos: 280, when: { disk: "whole" },                      act: "wait",  why: "a copy, and nothing is proved of it" },

  { pos: 310, when: { disk: "absent", goal: "found" },   act: "found", why: "this node leads, and nothing was founded yet" },
  { pos: 320, when: { disk: "absent", goal: "standby", source: "ready" }, act: "clone", why: "no data directory yet" },
  { pos: 330, when: { disk: "absent" },                  act: "wait",  why: "no data directory, and nothing to copy from" },
  { pos: 340, when: { disk: "founding" },                act: "wait",  why: "initialised, waits to be committed as the cluster's" },

  // A primary is one of the newest epoch, on this node, or it is fenced.
  { pos: 410, when: { server: "starting" },                  act: "wait",  why: "recovery is under way" },
  { pos: 420, when: { server: "promoting" },                 act: "fence", why: "a promotion nobody waits for must not end as a primary" },
  { pos: 425, when: { server: "primary", leads: "nobody" },  act: "quarantine", why: "it left recovery, and nobody appointed it" },
  { pos: 430, when: { server: "primary", leads: "other" },   act: "fence", why: "it is primary of no epoch in force" },
  { pos: 431, when: { server: "primary", goal: "pledged" },  act: "fence", why: "the next epoch is open: it must take no more writes" },
  { pos: 432, when: { server: "primary", goal: "standby" },  act: "fence", why: "another node was appointed" },
  { pos: 433, when: { server: "primary", goal: "none" },     act: "fence", why: "nobody appointed it" },
  { pos: 434, when: { server: "primary", goal: "found" },    act: "fence", why: "nobody appointed it" },

  { pos: 450, when: { disk: "rogue", goal: "standby", source: "ready" }, act: "clone", why: "it took writes that nobody appointed it for" },
  { pos: 455, when: { disk: "rogue" },                       act: "wait",  why: "it took writes that nobody appointed it for, and there is no primary to copy from" },

  { pos: 460, when: { disk: "older", server: "standby" },    act: "fence", why: "an older copy of the data was put back: it lacks what this node has confirmed" },
  { pos: 461, when: { disk: "older", server: "primary" },    act: "fence", why: "an older copy of the data was put back: it lacks what this node has confirmed" },
  { pos: 465, when: { disk: "older", goal: "standby", source: "ready" }, act: "clone", why: "an older copy of the data was put back" },
  { pos: 470, when: { disk: "older" },                       act: "wait",  why: "an older copy of the data was put back, and there is no primary to copy from" },

  { pos: 505, when: { goal: "pledged", server: "down", rest: "fresh" }, act: "wait", why: "it has just died: others report sooner than it recovers" },
  { pos: 510, when: { goal: "pledged", server: "down" },     act: "start",  why: "it must recover before it can report" },
  { pos: 520, when: { goal: "pledged", step: "done" },       act: "wait",   why: "reported, waits for the appointment" },
  { pos: 530, when: { goal: "pledged" },                     act: "report", why: "pledged: stop receiving, prove it, report" },

  { pos: 630, when: { goal: "primary", server: "down", rest: "fresh" },     act: "wait",       why: "the primary died: another may take over" },
  { pos: 640, when: { goal: "primary", server: "down" },                    act: "start",      why: "nobody took over: start read-only, to be able to report" },
  { pos: 650, when: { goal: "primary", server: "standby", step: "todo" },   act: "promote",    why: "appointed" },
  { pos: 660, when: { goal: "primary", server: "standby" },                 act: "wait",       why: "this epoch's one promotion is spent: waits for the next epoch" },
  { pos: 670, when: { goal: "primary", step: "done", rule: "in_force" },    act: "wait",       why: "serving" },
  { pos: 680, when: { goal: "primary", step: "done" },                      act: "apply_rule", why: "the commit rule changed" },
  { pos: 690, when: { goal: "primary" },                                    act: "settle",     why: "promoted, its gate is closed" },

  { pos: 710, when: { goal: "hand_over", server: "primary", step: "done" }, act: "wait",      why: "could not hand over: waits for the word to go on" },
  { pos: 720, when: { goal: "hand_over", server: "primary" },               act: "hand_over", why: "the role moves to another node" },
  { pos: 730, when: { goal: "hand_over", server: "standby" },               act: "wait",      why: "handed over, waits for the next epoch" },
  { pos: 735, when: { goal: "hand_over", server: "down", step: "done", rest: "fresh" }, act: "wait", why: "handed over: another takes over first" },
  { pos: 740, when: { goal: "hand_over", server: "down", step: "done" },    act: "start",     why: "handed over: start read-only, to be able to report" },
  { pos: 750, when: { goal: "hand_over", rest: "unproved" },                act: "bury",      why: "the primary died: prove that nothing of it is left" },
  { pos: 760, when: { goal: "hand_over", rest: "fresh" },                   act: "wait",      why: "the primary died: another may take over" },
  { pos: 770, when: { goal: "hand_over" },                                  act: "start",     why: "nobody took over: start read-only, to be able to report" },

  { pos: 805, when: { goal: "standby", server: "down", rest: "fresh" },     act: "wait",       why: "it has just died: a failover may be under way, and goes first" },
  { pos: 810, when: { goal: "standby", server: "down" },                    act: "start",      why: "a standby runs" },
  { pos: 813, when: { goal: "standby", history: "forked", source: "missing" }, act: "wait",    why: "it must be rewound, and the primary is not promoted yet" },
  { pos: 815, when: { goal: "standby", history: "lost", source: "missing" },   act: "wait",    why: "it needs a new copy, and the primary is not promoted yet" },
  { pos: 818, when: { goal: "standby", history: "forked" },                 act: "rewind",     why: "it holds WAL the newest epoch left behind" },
  { pos: 820, when: { goal: "standby", history: "lost" },                   act: "clone",      why: "nothing proves that its WAL leads to the primary's, or it lacks WAL that is gone" },
  { pos: 825, when: { goal: "standby", step: "done", rule: "in_force", slots: "missing" }, act: "copy_slots", why: "the primary has logical slots that this standby lacks: it is given them while it is stopped" },
  { pos: 830, when: { goal: "standby", step: "done", rule: "in_force" },    act: "wait",       why: "following" },
  { pos: 840, when: { goal: "standby", step: "done" },                      act: "apply_rule", why: "the commit rule changed, where its primary is reached, or how soon it is looked for again" },
  { pos: 850, when: { goal: "standby" },                                    act: "follow",     why: "not yet pointed at the primary of the newest epoch" },

  { pos: 910, when: { goal: "none" },  act: "wait", why: "nothing is asked of this data server" },
  { pos: 920, when: { goal: "found" }, act: "wait", why: "a data directory of an earlier life: waits to be told" },
];

/** The one row that applies. */
export function decide(seen: Facts): Rule {
  return rowFor(RULES, seen);
}
