/** Histories as the papers draw them, and what a checker must say of each. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Command, replay } from "../support/datadriven.ts";
import { keyAnomalies } from "./keys.ts";
import { ISOLATIONS, judgeLists } from "./lists.ts";
import { logAnomalies } from "./log.ts";
import { parseKeys, parseLists, parseLog, parseReads } from "./parse.ts";
import { readAnomalies } from "./reads.ts";

const path = (name: string) => join(import.meta.dirname, "testdata", `${name}.txt`);

const classes = (found: readonly { readonly class: string }[]) =>
  found.length === 0 ? "valid" : [...new Set(found.map((one) => one.class))].sort().join(", ");

function check({ name, body }: Command): string {
  switch (name) {
    case "lists":
      return ISOLATIONS.map((isolation) => {
        const { history, final } = parseLists(body, isolation);
        return `${isolation}: ${classes(judgeLists(history, final).anomalies)}`;
      }).join("\n");
    case "keys":
      return classes(keyAnomalies(parseKeys(body)));
    case "log": {
      const { puts, looks, finals } = parseLog(body);
      return classes(logAnomalies(puts, finals, looks));
    }
    case "reads":
      return ["plain", "strict"]
        .map((how) => {
          const history = { ...parseReads(body), strict: how === "strict" };
          return `${how}: ${classes(readAnomalies(history))}`;
        })
        .join("\n");
  }
  throw new Error(`no checker is called ${name}`);
}

const FILES = ["lists", "keys", "log", "reads"];

for (const name of FILES) test(`golden histories of ${name}`, () => replay(path(name), check));

test("at least twenty of them are valid, and twenty are not", () => {
  const blocks = FILES.flatMap((name) => readFileSync(path(name), "utf8").split(/\n{2,}/));
  const answers = blocks.map(
    (block) => block.split("\n----\n")[1]?.trim().split("\n").at(-1) ?? "",
  );
  const valid = answers.filter((answer) => answer.endsWith("valid"));
  expect(valid.length).toBeGreaterThanOrEqual(20);
  expect(answers.length - valid.length).toBeGreaterThanOrEqual(20);
});

test("each class of anomaly has its golden history", () => {
  const all = FILES.map((name) => readFileSync(path(name), "utf8")).join("\n");
  const wanted = [
    "duplicate, incompatible order, invented, lost append, internal, G0, G1a, G1b, G1c, G-single, long fork, G2-item",
    "G0-realtime, G1c-realtime, G-single-realtime, not linearizable",
    "differs between nodes, went back, lost, elsewhere, twice, invented, against real time",
    "not applied where it was asked, gap, seen and gone, stale",
  ];
  const answers = new Set(
    all
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .flatMap((line) => line.replace(/^.*: /, "").split(", ")),
  );
  const missing = wanted.flatMap((line) => line.split(", ")).filter((one) => !answers.has(one));
  expect(missing).toEqual([]);
});
