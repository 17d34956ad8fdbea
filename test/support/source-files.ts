/** The project's own files as text, and rough measures of them: for the tests that keep style.  */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "./programs.ts";

export interface SourceFile {
  /** From the project's folder, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

/** All files below the folders whose names end so. */
export function filesBelow(folders: readonly string[], ending: RegExp): SourceFile[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(PROJECT, folder), { recursive: true, encoding: "utf8" }).map(
        (path) => `${folder}/${path.replaceAll("\\", "/")}`,
      ),
    )
    .filter((path) => ending.test(path))
    .sort()
    .map((path) => {
      const text = readFileSync(join(PROJECT, path), "utf8");
      return { path, text, lines: text.split("\n") };
    });
}

const LITERAL =
  /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|\/(?:[^/\\\n]|\\.)+\/\w*/g;

/** The length of a line without the content of its literals: a sentence or a pattern cannot be broken. */
export function codeLength(line: string): number {
  return line.replace(LITERAL, '""').length;
}

/** The same text without comments. */
export function withoutComments({ path, text }: SourceFile): string {
  if (path.endsWith(".sql")) return text.replace(/--.*$/gm, "");
  return text.replace(/\/\*[\s\S]*?\*\/|(?<![:"'])\/\/.*$/gm, "");
}

export interface FunctionSize {
  readonly name: string;
  readonly lines: number;
}

const HEAD =
  /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? (\w+)|const (\w+) = (?:async )?(?:\(.*=> \{$|\($)|(?:static |override |async |get |set )*(#?\w+)\(.*\{$)/;
const NO_FUNCTION = new Set(["if", "for", "while", "switch", "catch", "describe", "test"]);

/** By indentation: from the line that opens a function to the first brace at its depth. */
export function functionSizes({ lines }: SourceFile): FunctionSize[] {
  return lines.flatMap((line, start) => {
    const [, indent = "", ...names] = HEAD.exec(line) ?? [];
    const name = names.find((one) => one !== undefined);
    if (name === undefined || NO_FUNCTION.has(name)) return [];
    const ends = new Set(["}", "};", "},", "});"].map((end) => indent + end));
    const length = lines.slice(start).findIndex((later) => ends.has(later)) + 1;
    return length === 0 ? [] : [{ name, lines: length }];
  });
}
