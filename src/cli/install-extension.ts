/** `pg-replica install-extension`: puts the files by which PostgreSQL accepts `create extension pgraft`. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../db/migration-file.ts";
import { RunFailed, runProgram } from "../postgres/run.ts";
import {
  CONFIG_HELP,
  type Command,
  CommandFailed,
  configOf,
  parseCommand,
  print,
} from "./command.ts";
import { programsOf } from "./programs.ts";

const HELP = `pg-replica install-extension [--config FILE] [--sharedir DIR]

Copies the control file and the script of the extension pgraft to where PostgreSQL looks for extensions, so that
"create extension pgraft" is accepted. It is a shell: every function is there without it. Once on every machine.

${CONFIG_HELP}
  --sharedir DIR  that of PostgreSQL (default: what its pg_config says)
`;

const FILES = ["pgraft.control", "pgraft--1.0.0.sql"] as const;
const LIMIT_MS = 10_000;

export const command: Command = {
  help: HELP,
  async run(args) {
    const options = { config: { type: "string" }, sharedir: { type: "string" } } as const;
    const { values } = parseCommand(args, options);
    const folder = join(values.sharedir ?? (await shareDir(values.config)), "extension");
    for (const file of FILES) await put(join(PACKAGE_ROOT, "extension", file), join(folder, file));
    print(`create extension pgraft works with the PostgreSQL that looks in ${folder}`);
    return 0;
  },
};

async function shareDir(config: string | undefined): Promise<string> {
  const { binaries } = await programsOf(await configOf(config));
  try {
    const { stdout } = await runProgram(binaries.program("pg_config"), ["--sharedir"], {
      owner: undefined,
      limitMs: LIMIT_MS,
    });
    return stdout.trim();
  } catch (error) {
    if (!(error instanceof RunFailed)) throw error;
    throw new CommandFailed(
      `sharedir: ${binaries.program("pg_config")} does not tell: expected --sharedir DIR`,
      { cause: error },
    );
  }
}

async function put(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandFailed(
      `sharedir: ${to} cannot be written (${code}): run this as who installed PostgreSQL; all but "create extension" works without it`,
      { cause: error },
    );
  }
}
