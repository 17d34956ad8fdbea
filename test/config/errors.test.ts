/** Bad configurations and the sentences they get: golden text, reviewed line by line. */
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError, loadConfig } from "../../src/config/load.ts";

const CASES = resolve(import.meta.dirname, "testdata/bad");
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgr-config-"));
  const secret = async (name: string, text: string, mode: number) => {
    await writeFile(join(dir, name), text);
    await chmod(join(dir, name), mode);
  };
  await secret("peer.secret", "0123456789abcdef0123\n", 0o600);
  await secret("superuser.secret", "correct horse\n", 0o640);
  await secret("open.secret", "0123456789abcdef0123\n", 0o644);
  await secret("short.secret", "hunter2\n", 0o600);
  await secret("binary.secret", "0123456789abcdef0123\0é\n", 0o600);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** What loadConfig says about `text`, with the temporary folder called DIR. */
async function problems(text: string): Promise<string> {
  const file = join(dir, "node.yaml");
  await writeFile(file, text);
  try {
    await loadConfig(file, {});
    return "accepted";
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replaceAll(dir, "DIR");
  }
}

test("every bad file gets its sentences, and a good one none", async () => {
  const answers: string[] = [];
  for (const name of (await readdir(CASES)).toSorted()) {
    const text = await readFile(join(CASES, name), "utf8");
    answers.push(`# ${name}\n${await problems(text)}\n`);
  }
  await expect(answers.join("\n")).toMatchFileSnapshot(
    resolve(import.meta.dirname, "testdata/errors.txt"),
  );
});

test("a file that is not there is named", async () => {
  const missing = join(dir, "none.yaml");
  await expect(loadConfig(missing, {})).rejects.toThrow(
    `config: ${missing}: expected a readable file: there is none (in --config)`,
  );
});

test("no secret appears in any message", async () => {
  for (const name of await readdir(CASES)) {
    const text = await problems(await readFile(join(CASES, name), "utf8"));
    expect(text).not.toMatch(/hunter2|0123456789abcdef/);
  }
});
