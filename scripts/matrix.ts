/**
 * Faults on every supported PostgreSQL major: `npm run matrix -- [--majors 15,17,18] [--faults F06,F09] [--seed S]`.
 * Majors that are not installed are unpacked beside the installed one (Debian hosts; patchelf is needed).
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { readOptions } from "./options.ts";

const ROOT = join(import.meta.dirname, "..");
/** Which suite of Debian holds which major. */
const SUITES: Readonly<Record<string, string>> = { 15: "bookworm", 17: "trixie", 18: "sid" };

/** Where unpacked majors live: as root, where the servers' own user may read. */
const cache =
  process.getuid?.() === 0
    ? "/var/cache/pg-replica"
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "pg-replica");

async function runToEnd(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<number> {
  const { exitCode = 1 } = await execa(program, args, {
    stdio: "inherit",
    cwd: ROOT,
    env,
    reject: false,
  });
  return exitCode;
}

/** Folder of a major's programs; installs it if it is not there. */
async function programsOf(major: string): Promise<string> {
  const installed = `/usr/lib/postgresql/${major}/bin`;
  if (existsSync(join(installed, "postgres"))) return installed;
  const suite = SUITES[major];
  if (suite === undefined) {
    throw new Error(`--majors: ${major}: expected some of ${Object.keys(SUITES)}`);
  }
  const to = join(cache, `pg${major}`);
  const script = join(import.meta.dirname, "install-postgres.sh");
  if ((await runToEnd("bash", [script, suite, major, to])) !== 0) {
    throw new Error(`PostgreSQL ${major} could not be unpacked into ${to}`);
  }
  return join(to, `usr/lib/postgresql/${major}/bin`);
}

async function main(): Promise<number> {
  const { values } = readOptions({
    options: {
      majors: { type: "string", default: Object.keys(SUITES).join(",") },
      faults: { type: "string", default: "F06,F09" },
      seed: { type: "string", default: "1" },
    },
  });
  const failed: string[] = [];
  for (const major of values.majors.split(",")) {
    const PG_REPLICA_BIN_DIR = await programsOf(major);
    console.log(`\nPostgreSQL ${major}: ${PG_REPLICA_BIN_DIR}`);
    const args = ["scripts/chaos.ts", "--each", "--faults", values.faults, "--seed", values.seed];
    if ((await runToEnd(process.execPath, args, { PG_REPLICA_BIN_DIR })) !== 0) failed.push(major);
  }
  if (failed.length > 0) console.error(`\nfailed on PostgreSQL ${failed.join(", ")}`);
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main();
