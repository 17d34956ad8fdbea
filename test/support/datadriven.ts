import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect } from "vitest";

export interface Command {
  readonly name: string;
  readonly args: Readonly<Record<string, string>>;
  /** Lines that follow the command. */
  readonly body: readonly string[];
}

const SEPARATOR = "----";

/**
 * Replay a testdata file and compare it with itself.
 *
 * A file is blocks of `command key=value …`, perhaps more lines, a `----` line, and the expected output, blocks parted
 * by blank lines; `#` lines are prose and kept.  `vitest -u` rewrites the outputs: read the diff,
 * and commit it only if you can say why each line changed.
 */
export async function replay(path: string, handle: (command: Command) => Promise<string> | string) {
  const replayed: string[] = [];
  for (const block of readFileSync(path, "utf8")
    .trimEnd()
    .split(/\n{2,}/)) {
    const head = block.split(`\n${SEPARATOR}`)[0] ?? "";
    const [line, ...body] = head.split("\n").filter((text) => !text.startsWith("#"));
    const answer =
      line === undefined ? "" : `\n${SEPARATOR}\n${await handle({ ...parse(line), body })}`;
    replayed.push(head + answer);
  }
  await expect(`${replayed.join("\n\n")}\n`).toMatchFileSnapshot(resolve(path));
}

function parse(line: string): Omit<Command, "body"> {
  const [name = "", ...pairs] = line.split(" ");
  const args = Object.fromEntries(pairs.map((pair) => pair.split("=") as [string, string]));
  return { name, args };
}
