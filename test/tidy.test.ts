/** Style, kept by a test: sizes, layers, purity, the homes of packages, the rules of SQL, the chain of migrations. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { readMigrations, SQL_OF, type Target } from "../src/db/migration-file.ts";
import { PROJECT } from "./support/programs.ts";
import {
  codeLength,
  filesBelow,
  functionSizes,
  type SourceFile,
  withoutComments,
} from "./support/source-files.ts";

const FOLDERS = ["src", "test", "scripts", "bench", "examples"];
const typescript = filesBelow(FOLDERS, /\.ts$/);
const sql = filesBelow(["sql"], /\.sql$/);
const source = typescript.filter(({ path }) => /^src\/.+\//.test(path)); // src/index.ts is no layer

const where = ({ path }: SourceFile, index: number) => `${path}:${index + 1}`;

/** Lines of some files that break a rule, as path and line number. */
function linesWhere(files: readonly SourceFile[], wrong: (line: string) => boolean): string[] {
  return files.flatMap((file) =>
    file.lines.flatMap((line, index) => (wrong(line) ? [where(file, index)] : [])),
  );
}

describe("sizes", () => {
  test("no file is longer than 400 lines, in SQL 150", () => {
    const long = [
      ...typescript.filter(({ lines }) => lines.length > 401),
      ...sql.filter(({ lines }) => lines.length > 151),
    ];
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  // The formatter breaks TypeScript at 100; it leaves comments and SQL to their authors.
  test("no line is longer than 120, literals and rows of rule tables excepted", () => {
    const comment = /^\s*(\/\*\*|\*|\/\/|--)/;
    const wrong = (line: string) =>
      comment.test(line) ? line.length > 120 : !/^\s*\{ pos: /.test(line) && codeLength(line) > 120;
    expect(linesWhere([...typescript, ...sql], wrong)).toEqual([]);
  });

  test("no function is longer than 50 lines", () => {
    const long = typescript
      .filter(({ path }) => !path.startsWith("test/"))
      .flatMap((file) => functionSizes(file).map((size) => ({ file, ...size })))
      .filter(({ lines }) => lines > 50)
      .map(({ file, name, lines }) => `${file.path} ${name}: ${lines}`);
    expect(long).toEqual([]);
  });

  test("the README is no longer than 150 lines", () => {
    const readme = readFileSync(join(PROJECT, "README.md"), "utf8");
    expect(readme.split("\n").length).toBeLessThanOrEqual(151);
  });
});

/** A folder imports itself and anything strictly to its left. */
const LAYERS = [
  ["core"],
  ["coordinator", "clock", "config", "log"],
  ["db", "postgres", "replication"],
  ["raft", "client", "logical"],
  ["leader", "agent", "jobs", "http"],
  ["worker"],
  ["cli"],
];
/** What decides must be replayable: same input, same answer. */
const PURE = ["core", "coordinator"];
/** Packages have one home. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  pg: ["db", "client"],
  "pg-listen": ["db"],
  "graphile-worker": ["jobs"],
  pino: ["log"],
  zod: ["config", "db", "jobs", "http", "logical", "client"],
  yaml: ["config", "cli"],
};
const rank = (folder: string) => LAYERS.findIndex((layer) => layer.includes(folder));
const folderOf = (path: string) => path.split("/")[1] ?? "";

/** What a file imports, and whether at run time: types alone bring no code. */
function importsOf({ text }: SourceFile): { readonly from: string; readonly typeOnly: boolean }[] {
  const statements = text.matchAll(
    /(?:^|\n)\s*(?:import|export) (type )?[^;]*?from "([^"]+)"|import\("([^"]+)"\)/g,
  );
  return [...statements].map(([, type, from, dynamic]) => ({
    from: from ?? dynamic ?? "",
    typeOnly: type !== undefined,
  }));
}

describe("layers", () => {
  test("imports only point left", () => {
    const wrong = source.flatMap((file) =>
      importsOf(file)
        .filter(({ from }) => from.startsWith("."))
        .map(({ from }) => folderOf(normalize(join(dirname(file.path), from))))
        .filter((to) => to !== folderOf(file.path) && rank(to) >= rank(folderOf(file.path)))
        .map((to) => `${file.path} -> ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  test("every folder has a layer", () => {
    const folders = new Set(source.map(({ path }) => folderOf(path)));
    expect([...folders].filter((folder) => rank(folder) === -1)).toEqual([]);
  });

  test("what decides is deterministic", () => {
    const impure =
      /\b(Date|Temporal|performance)\b|Math\.random|setTimeout|setInterval|\bprocess\.|from "(?!\.)/;
    const pure = source.filter((file) => PURE.includes(folderOf(file.path)));
    expect(
      pure.filter((file) => impure.test(withoutComments(file))).map(({ path }) => path),
    ).toEqual([]);
  });

  test("packages have one home; types of pg may travel", () => {
    const wrong = source.flatMap((file) =>
      importsOf(file)
        .filter(({ from, typeOnly }) => !(typeOnly && from === "pg"))
        .filter(({ from }) => HOMES[from] !== undefined)
        .filter(({ from }) => !HOMES[from]?.includes(folderOf(file.path)))
        .map(({ from }) => `${file.path} -> ${from}`),
    );
    expect(wrong).toEqual([]);
  });

  test("every package that is imported has a home, or is Node's", () => {
    const known = (from: string) => /^(\.|node:)/.test(from) || HOMES[from] !== undefined;
    const unknown = source.flatMap((file) =>
      importsOf(file)
        .filter(({ from }) => !known(from))
        .map(({ from }) => `${file.path} -> ${from}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe("words that are not used", () => {
  const code = [...typescript, ...sql].filter(({ path }) => path !== "test/tidy.test.ts");
  const having = (files: readonly SourceFile[], word: RegExp) =>
    files.filter((file) => word.test(withoutComments(file))).map(({ path }) => path);

  test("process calls that block the event loop", () => {
    expect(having(code, /\b(execFileSync|execSync|spawnSync|Atomics\.wait)\b/)).toEqual([]);
  });

  test("marks of unfinished work", () => {
    const unfinished = code.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text));
    expect(unfinished.map(({ path }) => path)).toEqual([]);
  });

  /** Each stands where a library or the kernel leaves no other way. */
  const TIMERS = [
    "src/clock/clock.ts",
    "src/db/data-server.ts", // a limit on a connection attempt
    "src/postgres/server.ts", // an adopted server's exit is polled
    "src/replication/connection.ts", // a socket's own timeout
  ];
  test("timers, but for the clock's", () => {
    const timed = having(source, /\b(setTimeout|setInterval)\b/);
    expect(timed.filter((path) => !TIMERS.includes(path))).toEqual([]);
  });

  test("the type any, and ! outside tests", () => {
    const loose = /\bas any\b|: any(\[\])?\s*[,;)=]|<any>|[\w)\]]!(\.\w|\)|;|\[)/;
    expect(having(source, loose)).toEqual([]);
  });

  test("endless loops without a way out", () => {
    expect(having(source, /while \(true\)/)).toEqual([]);
  });

  test("words of other systems for our things", () => {
    const foreign = /\b(slave|failback|split brain)\b/i;
    expect(having(code, foreign)).toEqual([]);
  });
});

describe("every file says what it is for", () => {
  test("TypeScript opens with a sentence, tests with their titles", () => {
    const silent = typescript
      .filter(({ path }) => !path.startsWith("test/"))
      .filter(({ text }) => !/^(#!.*\n)?\/\*\*[\s\S]*?\*\//.test(text));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });
});

const FUNCTION = /create (?:or replace )?(?:function|procedure)\s+([\w.]+)\s*\(/g;
const VIEW = /create (?:or replace )?view\s+([\w.]+)/g;

describe("SQL", () => {
  // What only gives functions of dblink a schema of ours holds no code.
  const makers = sql.filter(
    ({ path }) => /^sql\/\d+_\w+\//.test(path) && !/_(grants|dblink)\.sql$/.test(path),
  );
  const madeBy = ({ text }: SourceFile) =>
    [...text.matchAll(FUNCTION), ...text.matchAll(VIEW)].map(([, name = ""]) => name);

  test("a file is named after the one function or view it makes", () => {
    const wrong = makers.filter((file) => {
      const name = /\/(?:\d+_)?(\w+)\.sql$/.exec(file.path)?.[1];
      const made = madeBy(file).map((full) => full.split(".")[1]);
      return made.length === 0 || made.some((one) => one !== name);
    });
    expect(wrong.map((file) => `${file.path} makes ${madeBy(file)}`)).toEqual([]);
  });

  /** Text of each function, from its `create` to the next. */
  const functions = makers.flatMap((file) =>
    file.text
      .split(/(?=^create (?:or replace )?(?:function|procedure)\b)/m)
      .filter((part) => part.startsWith("create") && !/^create (or replace )?view/.test(part))
      .map((text) => ({
        path: file.path,
        head: text.split(/\bas \$|\bas '|\bbegin atomic/)[0] ?? "",
        text,
      })),
  );

  test("every function states its volatility and an empty search_path", () => {
    const wrong = functions.filter(({ head }) => {
      if (/^create (or replace )?procedure/.test(head)) return !/set search_path = ''/.test(head);
      return !/\b(volatile|stable|immutable)\b/.test(head) || !/set search_path = ''/.test(head);
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("no dynamic SQL", () => {
    const dynamic = /\bexecute\s+(format|pg_catalog\.format|'|\$|v_|p_)/i;
    const wrong = makers.filter((file) => dynamic.test(withoutComments(file)));
    // Users name the function that it calls.
    expect(wrong.map(({ path }) => path)).toEqual(["sql/05_pgreplica/run_handler.sql"]);
  });

  test("parameters begin with p_, locals with v_", () => {
    const local = /^ {2}(?!v_|c_)(\w+)\s+(?:constant\s+)?[\w.%[\]]+(?:\s*:=.*)?;$/m;
    const wrong = functions.filter(({ text }) => {
      const declared = /\bdeclare\n([\s\S]*?)\nbegin\b/.exec(text)?.[1];
      return declared !== undefined && local.test(declared);
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("what the public sees has a comment", () => {
    const open = makers.filter((file) => {
      const isPublic = madeBy(file).some((name) => name.startsWith("pg_replica."));
      return isPublic && !/^comment on (function|view|procedure) pg_replica\./m.test(file.text);
    });
    expect(open.map(({ path }) => path)).toEqual([]);
  });

  test("applying a command depends on nothing but the command (H62)", () => {
    const impure =
      /\b(clock_timestamp|random|gen_random_uuid|nextval|current_setting|statement_timestamp)\s*\(|\bnow\(\)|\bcurrent_(timestamp|date|user)\b/;
    const apply = sql.filter(({ path }) => /30_cluster\/(?:\d+_)?apply/.test(path));
    expect(apply.length).toBeGreaterThan(0);
    expect(
      apply.filter((file) => impure.test(withoutComments(file))).map(({ path }) => path),
    ).toEqual([]);
  });

  test("is lower case", () => {
    const shouting = /\b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|CREATE|BEGIN|END|RETURN)\b/;
    const bodies = sql.filter((file) =>
      shouting.test(withoutComments(file).replace(/'(?:[^']|'')*'/g, "")),
    );
    expect(bodies.map(({ path }) => path)).toEqual([]);
  });
});

describe("installation", () => {
  test.each<Target>(["control", "data"])(
    "the chain of %s migrations holds (while unreleased: node scripts/hash-migrations.ts)",
    async (target) => {
      expect((await readMigrations(target)).length).toBeGreaterThan(0);
    },
  );

  test("psql loads the same parts as the program", () => {
    const script = readFileSync(join(PROJECT, "sql/install.sh"), "utf8");
    for (const [target, parts] of Object.entries(SQL_OF)) {
      expect(script).toContain(`${target}) parts='${parts.join(" ")}' ;;`);
    }
  });
});

test("no tracked file names a machine, a person's folder or a private registry", async () => {
  const tracked = await trackedFiles();
  const private_ =
    /(?<![\w.])\/(work|home|Users)\/(?!linuxbrew)[a-z]|localhost:4873|"resolved": "(?!https:\/\/registry\.npmjs\.org\/)/;
  const wrong = tracked.filter((path) => private_.test(readFileSync(join(PROJECT, path), "utf8")));
  expect(wrong.filter((path) => path !== "test/tidy.test.ts")).toEqual([]);
});

/** Empty in a copy without history. */
function trackedFiles(): Promise<string[]> {
  return new Promise((resolve) => {
    let names = "";
    const git = spawn("git", ["ls-files"], { cwd: PROJECT, stdio: ["ignore", "pipe", "ignore"] });
    git.stdout.setEncoding("utf8").on("data", (text: string) => {
      names += text;
    });
    git.once("error", () => resolve([])); // git is not installed
    git.once("close", () =>
      resolve(names.split("\n").filter((name) => name !== "" && existsSync(join(PROJECT, name)))),
    );
  });
}
