/** The reader against what the `tar` program writes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ProtocolError } from "../../src/replication/errors.ts";
import { type TarEntry, TarReader } from "../../src/replication/tar.ts";
import { mustRun } from "../support/programs.ts";

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgr-tar-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

type Content = TarEntry & { readonly text: string };

function read(archive: Buffer, chunkBytes = archive.length): Content[] {
  const reader = new TarReader();
  const found: (TarEntry & { text: string })[] = [];
  for (let at = 0; at < archive.length; at += chunkBytes) {
    for (const event of reader.push(archive.subarray(at, at + chunkBytes))) {
      if (event.kind === "entry") found.push({ ...event.entry, text: "" });
      const last = found.at(-1);
      if (event.kind === "data" && last !== undefined) last.text += Buffer.from(event.bytes);
      if (event.kind === "end") expect(last?.text.length).toBe(last?.size);
    }
  }
  reader.finish();
  return found;
}

const byPath = (a: TarEntry, b: TarEntry) => (a.path < b.path ? -1 : 1);
const file = (path: string, text: string, mode = 0o600): Content => ({
  kind: "file",
  path,
  mode,
  size: text.length,
  target: "",
  text,
});
const directory = (path: string, mode = 0o700): Content => ({
  kind: "directory",
  path,
  mode,
  size: 0,
  target: "",
  text: "",
});

const DEEP = Array.from({ length: 9 }, (_, index) => `directory-number-${index}`);
const deepPaths = DEEP.map((_, index) => DEEP.slice(0, index + 1).join("/"));
/** 61 bytes of name at the end of 161 bytes of path: too long for the name field alone. */
const LONG = `${deepPaths.at(-1)}/${"n".repeat(60)}`;
const TARGET = "/a/tablespace/far/away";

/** Sizes around a block, a name that needs a prefix, every kind of entry PostgreSQL sends. */
const TREE: readonly Content[] = [
  directory("."),
  file("./PG_VERSION", "17\n"),
  file("./empty", ""),
  file("./block", "b".repeat(512)),
  file("./block-and-one", "c".repeat(513), 0o640),
  file("./large", "0123456789abcdef".repeat(10_000)),
  directory("./pg_tblspc", 0o750),
  { ...directory("./pg_tblspc/16385", 0o777), kind: "symlink", target: TARGET },
  ...deepPaths.map((path) => directory(`./${path}`)),
  file(`./${LONG}`, "deep"),
];

async function makeTree(root: string): Promise<void> {
  for (const { kind, path, text, target, mode } of TREE) {
    const full = join(root, path);
    if (kind === "directory") await mkdir(full, { recursive: true });
    else if (kind === "symlink") await symlink(target, full);
    else await writeFile(full, text);
    if (kind !== "symlink") await chmod(full, mode);
  }
}

test.each(["gnu", "ustar", "oldgnu"])("what tar writes as %s is read back", async (format) => {
  const root = join(dir, format);
  await mkdir(root);
  await makeTree(root);
  const archive = `${root}.tar`;
  await mustRun("tar", [`--format=${format}`, "-C", root, "-cf", archive, "."]);
  const bytes = await readFile(archive);
  const expected = [...TREE].sort(byPath);
  expect(read(bytes).sort(byPath)).toEqual(expected);
  expect(read(bytes, 1).sort(byPath)).toEqual(expected);
  expect(read(bytes, 511).sort(byPath)).toEqual(expected);
});

test("GNU names and targets may be longer than any field", async () => {
  const root = join(dir, "long");
  const path = `./${"p".repeat(200)}/${"q".repeat(200)}`;
  const target = `/${"t".repeat(300)}`;
  await mkdir(join(root, path), { recursive: true });
  await symlink(target, join(root, path, "link"));
  await mustRun("tar", ["--format=gnu", "-C", root, "-cf", `${root}.tar`, `${path}/link`]);
  const [entry] = read(await readFile(`${root}.tar`), 100);
  expect(entry).toMatchObject({ kind: "symlink", path: `${path}/link`, target });
});

test("a size of 8 GB and more is base 256", async () => {
  const size = 9 * 1024 ** 3 + 7;
  await writeFile(join(dir, "huge"), "");
  await truncate(join(dir, "huge"), size);
  const tar = spawn("tar", ["--format=gnu", "-C", dir, "-cf", "-", "huge"]);
  const [chunk] = (await once(tar.stdout, "data")) as [Buffer];
  tar.kill();
  await rm(join(dir, "huge"));
  const [event] = new TarReader().push(chunk.subarray(0, 512));
  expect(event).toMatchObject({ kind: "entry", entry: { path: "huge", size } });
});

test("an archive may end without its two empty blocks, but not within an entry", async () => {
  await writeFile(join(dir, "one"), "x".repeat(700));
  await mustRun("tar", ["-C", dir, "-cf", join(dir, "one.tar"), "one"]);
  const bytes = await readFile(join(dir, "one.tar"));
  expect(read(bytes.subarray(0, 512 + 1024))).toHaveLength(1);
  for (const cut of [100, 512, 512 + 699, 512 + 700, 512 + 1023]) {
    expect(() => read(bytes.subarray(0, cut))).toThrow(ProtocolError);
  }
});

test("a damaged header, a pipe, and an archive after the archive are refused", async () => {
  await writeFile(join(dir, "two"), "x");
  await mustRun("mkfifo", [join(dir, "pipe")]);
  await mustRun("tar", ["-C", dir, "-cf", join(dir, "two.tar"), "two"]);
  await mustRun("tar", ["-C", dir, "-cf", join(dir, "pipe.tar"), "pipe"]);
  const good = await readFile(join(dir, "two.tar"));
  const damaged = Buffer.from(good);
  damaged[0] = 0x21;
  expect(() => read(damaged)).toThrow(/check sum/);
  expect(() => read(Buffer.concat([good, good]))).toThrow(/after its end/);
  const pipe = await readFile(join(dir, "pipe.tar"));
  expect(() => read(pipe)).toThrow(/pipe: type 54 is not supported/);
});
