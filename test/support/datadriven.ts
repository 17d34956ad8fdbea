import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect } from "vitest";

export interface Command {
  readonly name: string;
  readonly args: Readonly<Record<string, string>>;
}

const SEPARATOR = "----";

/**
 * Replay a testdata file and compare it with itself.
 *
 * A file is blocks of `command key=value …`, a `----` line, and the expected output, blocks parted
 * by blank lines; `#` lines are prose and kept.  `vitest -u` rewrites the outputs: read the diff,
 * and commit it only if you can say why each line changed.
 */
export async function replay(path: string, handle: (command: Command) => Promise<string> | string) {
  const replayed: string[] = [];
  for (const block of readFileSync(path, "utf8")
    .trimEnd()
    .split(/\n{2,}/)) {
    const head = block.split(`\n${SEPARATOR}`)[0] ?? "";
    const line = head.split("\n").find((text) => !text.startsWith("#"));
    const answer = line === undefined ? "" : `\n${SEPARATOR}\n${await handle(parse(line))}`;
    replayed.push(head + answer);
  }
  await expect(`${replayed.join("\n\n")}\n`).toMatchFileSnapshot(resolve(path));
}

function parse(line: string): Command {
  const [name = "", ...pairs] = line.split(" ");
  const args = Object.fromEntries(pairs.map((pair) => pair.split("=") as [string, string]));
  return { name, args };
}
