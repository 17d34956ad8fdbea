/** identity.json: what init writes and every later start reads. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { identityPath, readIdentity, writeIdentity } from "../../src/config/identity.ts";

const IDENTITY = {
  clusterId: "11f7266d-ffd6-52fb-967c-eea904734e5c",
  cluster: "shop",
  nodeId: 2,
  name: "node2",
  founders: [{ id: 1, name: "node1", host: "127.0.0.1", port: 7482, dataPort: 7432 }],
  introduced: [1],
  incarnation: "6c84fb90-12c4-41a1-a5a4-1d2f6d7ac3a1",
};
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgr-identity-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test("a node that never lived has none", async () => {
  expect(await readIdentity(dir)).toBeUndefined();
});

test("what was written is read, and nothing is left beside it", async () => {
  await writeIdentity(dir, IDENTITY);
  expect(await readIdentity(dir)).toEqual(IDENTITY);
  expect(await readdir(dir)).toEqual(["identity.json"]);
});

test("one that cannot be understood is an error, never a new life", async () => {
  await writeFile(identityPath(dir), "{");
  await expect(readIdentity(dir)).rejects.toThrow("expected the identity that init wrote");
  await writeFile(identityPath(dir), JSON.stringify({ ...IDENTITY, nodeId: 0 }));
  await expect(readIdentity(dir)).rejects.toThrow("nodeId");
});
