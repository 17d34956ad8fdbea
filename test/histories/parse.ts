/** Histories as text, for people: one operation a line. */
import type { KeyAction, KeyOperation } from "./keys.ts";
import { ABSENT, type Held } from "./keys.ts";
import type { FinalLists, ListTransaction, Micro } from "./lists.ts";
import type { LogEntry, Look, Put } from "./log.ts";
import type { Range, ReadHistory, SetReading } from "./reads.ts";
import type { Increment } from "./scans.ts";

/** Where no times are given everything ran at once. */
const AT_ONCE = { startedAt: 0, endedAt: 100 };

function interval(text: string | undefined) {
  if (text === undefined) return AT_ONCE;
  const [startedAt = 0, endedAt = 0] = text.split("-").map(Number);
  return { startedAt, endedAt };
}

const keyOf = (name: string) => name.charCodeAt(0);
const numbers = (words: readonly string[]) => words.map(Number);

/** `A unknown 0-10: append x 1, read y 2 3`, and `final: x 1, y 2 3`. */
export function parseLists(
  lines: readonly string[],
  isolation: ListTransaction["isolation"],
): { history: ListTransaction[]; final: FinalLists | undefined } {
  let final: FinalLists | undefined;
  const history: ListTransaction[] = [];
  for (const line of lines) {
    const [head = "", rest = ""] = line.split(": ");
    const parts = rest.split(", ").map((part) => part.split(" "));
    if (head === "final") {
      final = new Map(parts.map(([key = "", ...items]) => [keyOf(key), numbers(items)]));
      continue;
    }
    const outcome = /\b(fail|unknown)\b/.exec(head)?.[1] as "fail" | "unknown" | undefined;
    const micros = parts.map(([f, name = "", ...items]): Micro => {
      const key = keyOf(name);
      const [value = 0] = numbers(items);
      return f === "append" ? { f, key, value } : { f: "read", key, value: numbers(items) };
    });
    const times = interval(/\d+-\d+/.exec(head)?.[0]);
    history.push({ process: keyOf(head), isolation, micros, outcome: outcome ?? "ok", ...times });
  }
  return { history, final };
}

/** `a@5`, or `-` for nothing. */
function held(word = "-"): Held {
  const [value = "", version] = word.split("@");
  return word === "-" ? ABSENT : { value, version: Number(version) };
}

/** `0-10 put x a = 5`, `get x = a@5`, `delete x = yes`, `cas x 5 b = swapped b@7`; `= ?`: its outcome is unknown. */
export function parseKeys(lines: readonly string[]): KeyOperation[] {
  return lines.map((line) => {
    const [, time, asked = "", told = ""] = /^(?:(\d+-\d+) )?(.+) = (.+)$/.exec(line) ?? [];
    const [f = "", key = "", ...words] = asked.split(" ");
    const unknown = told === "?";
    const times = interval(time);
    return {
      key,
      action: keyAction(f, words, unknown ? undefined : told.split(" ")),
      startedAt: times.startedAt,
      endedAt: unknown ? Number.POSITIVE_INFINITY : times.endedAt,
    };
  });
}

function keyAction(
  f: string,
  words: readonly string[],
  told: readonly string[] | undefined,
): KeyAction {
  const [first = "", second = ""] = words;
  switch (f) {
    case "get":
      return { f, answer: held(told?.[0]) };
    case "put":
      return { f, value: first, ...(told && { answer: { version: Number(told[0]) } }) };
    case "delete":
      return { f, ...(told && { answer: { existed: told[0] === "yes" } }) };
    case "cas":
      return {
        f,
        expected: Number(first),
        value: second === "-" ? null : second,
        ...(told && { answer: { swapped: told[0] === "swapped", ...held(told[1]) } }),
      };
  }
  throw new Error(`no operation is called ${f}`);
}

const entries = (words: readonly string[]): LogEntry[] =>
  words.map((word) => {
    const [requestId = "", index] = word.split("@");
    return { requestId, index: Number(index), data: requestId };
  });

/** `0-10 1 put r1 = 5` (`= ?` unknown, `= no` refused), `0-10 1 look r1@5`; node 1's log at last: `1: r1@5 r2@6`. */
export function parseLog(lines: readonly string[]) {
  const puts: Put[] = [];
  const looks: Look[] = [];
  const finals = new Map<number, LogEntry[]>();
  for (const line of lines) {
    const [first = "", ...rest] = line.split(" ");
    if (first.endsWith(":")) {
      finals.set(Number(first.slice(0, -1)), entries(rest));
      continue;
    }
    const [node = "", f, ...words] = rest;
    const common = { ...interval(first), node: Number(node) };
    if (f === "look") looks.push({ ...common, connectedAt: 0, entries: entries(words) });
    else {
      const [requestId = "", , told = "?"] = words;
      const index = /^\d+$/.test(told) ? { index: Number(told) } : {};
      puts.push({ ...common, requestId, refused: told === "no", ...index });
    }
  }
  return { puts, looks, finals };
}

/** `1-3 5`: both ends are shown. */
function shown(words: readonly string[]): Range[] {
  return words.map((word) => {
    const [from = "", to = from] = word.split("-");
    return [Number(from), Number(to) + 1];
  });
}

/** `0-10 add 1 = ok`, `no` or `?`; `20-30 s1 standby 1-3 5`; `final 1-3`. */
export function parseReads(lines: readonly string[]): Omit<ReadHistory, "strict"> {
  const adds: Increment[] = [];
  const readings: SetReading[] = [];
  let final: Range[] = [];
  for (const line of lines) {
    const [first = "", second = "", third = "", ...rest] = line.split(" ");
    if (first === "final") {
      final = shown(line.split(" ").slice(1));
      continue;
    }
    const times = interval(first);
    if (second === "add") {
      const told = rest.at(-1) ?? "";
      const outcome = told === "ok" ? "ok" : told === "no" ? "fail" : "unknown";
      adds.push({ value: Number(third), outcome, ...times });
      continue;
    }
    const server = third === "primary" ? "primary" : "standby";
    readings.push({ session: Number(second.slice(1)), server, ...times, shown: shown(rest) });
  }
  return { adds, readings, final };
}
