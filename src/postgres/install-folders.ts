/** Where packages of the usual systems put PostgreSQL's programs and extensions. */
import { glob, realpath } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { isReachable } from "./files.ts";

/** `*` stands for a version. */
const PATTERNS = [
  "/usr/lib/postgresql/*/bin",
  "/usr/pgsql-*/bin",
  "/opt/homebrew/opt/postgresql@*/bin",
  "/usr/local/opt/postgresql@*/bin",
  "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
  "/Applications/Postgres.app/Contents/Versions/*/bin",
];
/** Packages without a version in their path. */
const FIXED = ["/usr/libexec/postgresql", "/usr/local/pgsql/bin", "/opt/homebrew/bin", "/usr/bin"];

/**
 * Folders worth a look, each once: those on PATH that hold `postgres`, then the packages', newest
 * major first within `oldest` to `newestKnown`, then those beyond it.
 */
export async function candidateDirectories(oldest: number, newestKnown: number): Promise<string[]> {
  const onPath = (process.env.PATH ?? "").split(delimiter).filter((dir) => dir !== "");
  const packaged: { readonly dir: string; readonly major: number }[] = [];
  for await (const dir of glob(PATTERNS)) {
    const major = Number(/(\d+)[^/]*\/bin$/.exec(dir)?.[1] ?? 0);
    packaged.push({ dir, major });
  }
  const rank = (major: number) => (major >= oldest && major <= newestKnown ? major : major - 1000);
  packaged.sort((a, b) => rank(b.major) - rank(a.major));
  return firstOfEach([...onPath, ...packaged.map(({ dir }) => dir), ...FIXED]);
}

/** Without those that hold no `postgres`, and without a second way to the same program. */
async function firstOfEach(dirs: readonly string[]): Promise<string[]> {
  const seen = new Set<string>();
  const kept: string[] = [];
  for (const dir of dirs) {
    const program = join(dir, "postgres");
    if (!(await isReachable(program))) continue;
    const real = await realpath(program);
    if (!seen.has(real)) kept.push(dir);
    seen.add(real);
  }
  return kept;
}

/**
 * Whether the extension dblink is certainly absent. The extension folder is recognised by plpgsql,
 * which every installation has; where none of the known places holds it, nothing is claimed.
 */
export async function lacksDblink(binDir: string, major: number): Promise<boolean> {
  const shares = [
    join(binDir, "../share/postgresql"),
    join(binDir, "../share"),
    join(binDir, `../share/postgresql@${major}`),
    join(binDir, `../../../../share/postgresql/${major}`),
    `/usr/share/postgresql/${major}`,
    "/usr/share/pgsql",
  ];
  for (const share of shares) {
    const folder = join(share, "extension");
    if (await isReachable(join(folder, "plpgsql.control"))) {
      return !(await isReachable(join(folder, "dblink.control")));
    }
  }
  return false;
}
