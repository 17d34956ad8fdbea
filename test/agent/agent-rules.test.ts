/** The agent's table is total, ordered, and never does what must never be done. */
import { expect, test } from "vitest";
import {
  DISKS,
  decide,
  type Facts,
  GOALS,
  HISTORIES,
  LEADS,
  RESTS,
  RULE_STATES,
  RULES,
  SERVERS,
  SLOT_STATES,
  SOURCES,
  STEPS,
} from "../../src/core/agent-rules.ts";

function product<Row extends object>(lists: { [Key in keyof Row]: readonly Row[Key][] }): Row[] {
  const keys = Object.keys(lists) as (keyof Row)[];
  return keys.reduce<Row[]>(
    (rows, key) => rows.flatMap((row) => lists[key].map((value) => ({ ...row, [key]: value }))),
    [{} as Row],
  );
}

const everything = product<Facts>({
  goal: GOALS,
  disk: DISKS,
  server: SERVERS,
  leads: LEADS,
  history: HISTORIES,
  step: STEPS,
  rest: RESTS,
  rule: RULE_STATES,
  source: SOURCES,
  slots: SLOT_STATES,
});
const actsWhen = (test: (facts: Facts) => boolean) =>
  new Set(everything.filter(test).map((facts) => decide(facts).act));

test("every set of facts meets a rule, and every rule some facts", () => {
  const met = new Set(everything.map((facts) => decide(facts).pos));
  expect(RULES.filter((rule) => !met.has(rule.pos))).toEqual([]);
});

test("rows are in order", () => {
  const positions = RULES.map((rule) => rule.pos);
  expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
});

test("a foreign data directory is refused, whatever is asked", () => {
  expect(actsWhen(({ disk }) => disk === "foreign")).toEqual(new Set(["refuse"]));
});

test("a primary that ended is proved gone, whatever became of its data: nobody takes over before", () => {
  const kinds = ["absent", "marked", "joining", "whole", "rogue", "older"];
  const ended = ({ goal, disk, server, rest }: Facts) =>
    goal === "primary" && server === "down" && rest === "unproved" && kinds.includes(disk);
  expect(actsWhen(ended)).toEqual(new Set(["bury"]));
});

test("a node that has left the cluster runs nothing of ours, and touches nothing", () => {
  const left = ({ disk, goal }: Facts) =>
    goal === "removed" && disk !== "foreign" && disk !== "lost_founding";
  expect(actsWhen((facts) => left(facts) && facts.server !== "down")).toEqual(new Set(["fence"]));
  expect(actsWhen((facts) => left(facts) && facts.server === "down")).toEqual(new Set(["wait"]));
});

test("nothing starts or promotes a data directory with a marker", () => {
  const acts = new Set(["fence", "clone", "report_void", "bury", "wait"]);
  expect(actsWhen(({ disk }) => disk === "marked")).toEqual(acts);
});

test("a void report is for a pledged node with nothing else to say", () => {
  const voids = everything.filter((facts) => decide(facts).act === "report_void");
  const right = ({ disk, goal, step }: Facts) =>
    disk === "marked" && goal === "pledged" && step === "todo";
  expect(voids.filter((facts) => !right(facts))).toEqual([]);
  expect(everything.filter((facts) => right(facts) && facts.server === "down")).toEqual(
    voids.filter(({ server }) => server === "down"),
  );
});

test("a whole copy takes the place of the data whatever is asked: no primary is needed for that", () => {
  const member = actsWhen(({ disk, goal }) => disk === "swapping" && goal !== "removed");
  expect(member).toEqual(new Set(["swap"]));
});

test("a copy for an earlier primary is reported, promoted or followed with only after it vouched for itself", () => {
  const whole = (more: (facts: Facts) => boolean) =>
    actsWhen((facts) => facts.disk === "whole" && more(facts));
  expect(whole(() => true)).toEqual(new Set(["fence", "vouch", "start", "bury", "wait"]));
  expect(whole(({ server, goal }) => server === "standby" && goal === "pledged")).toEqual(
    new Set(["vouch"]),
  );
  expect(whole(({ goal }) => !["pledged", "standby"].includes(goal))).toEqual(
    new Set(["fence", "bury", "wait"]),
  );
});

test("a primary goes on only as the appointed one of the newest epoch", () => {
  const stays = actsWhen(
    ({ disk, server, leads, goal }) =>
      disk === "ours" &&
      server === "primary" &&
      (leads !== "this" || !["primary", "hand_over"].includes(goal)),
  );
  expect(stays).toEqual(new Set(["fence", "quarantine"]));
});

test("only an appointed standby whose promotion is not spent is promoted", () => {
  const promoting = everything.filter((facts) => decide(facts).act === "promote");
  const wrong = promoting.filter(
    ({ goal, disk, server, step }) =>
      goal !== "primary" || disk !== "ours" || server !== "standby" || step !== "todo",
  );
  expect(wrong).toEqual([]);
});

test("a pledged node never follows, clones or promotes", () => {
  const acts = actsWhen(({ goal }) => goal === "pledged");
  for (const act of ["follow", "join", "rewind", "clone", "promote", "settle"]) {
    expect(acts).not.toContain(act);
  }
});

test("data whose history is not proved are never reported, promoted or started as they are", () => {
  const acts = actsWhen(({ disk }) => ["joining", "rogue", "older"].includes(disk));
  for (const act of ["report", "promote", "settle", "start", "follow", "rewind"]) {
    expect(acts).not.toContain(act);
  }
});

test("a primary that nobody appointed is quarantined whatever is asked, and its data are only ever replaced", () => {
  const running = actsWhen(
    ({ disk, server, leads, goal }) =>
      disk === "ours" && server === "primary" && leads === "nobody" && goal !== "removed",
  );
  expect(running).toEqual(new Set(["quarantine"]));
  expect(actsWhen(({ disk, server }) => disk === "rogue" && server === "down")).toEqual(
    new Set(["clone", "bury", "wait"]),
  );
});
