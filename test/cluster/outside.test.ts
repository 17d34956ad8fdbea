/** The tools these tests watch with must see loss, invention and silence, or their silence proves nothing. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PlainCluster, startPlain } from "../support/plain.ts";
import { allProcesses, signalTree, untilFrozen, withDescendants } from "../support/processes.ts";
import { rows, writesThatPass } from "../support/sql.ts";
import { holds } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

let plain: PlainCluster;

beforeAll(async () => {
  plain = await startPlain({ standbys: 1, confirmations: 0 });
  await createWriterTable(plain.primary.uri);
}, 60_000);

afterAll(async () => await plain?.stop());

test("the writer finds the one host that takes writes, and every row it was promised", async () => {
  const [first, standby] = plain.servers;
  const hosts = [standby?.uri ?? "", first?.uri ?? ""];
  const writer = startWriter({ hosts, writer: 1 });
  await writer.untilAcknowledged(300, 10_000);
  await writer.stop();
  const result = await writer.check(plain.primary.uri);
  expect(result).toMatchObject({ lost: [], invented: [], unknown: 0 });
  expect(result.acknowledged).toBeGreaterThanOrEqual(300);
  expect(result.refused).toBeGreaterThanOrEqual(1);
});

test("the writer reports an acknowledged row that is gone, and a row that nobody sent", async () => {
  const writer = startWriter({ hosts: [plain.primary.uri], writer: 2 });
  await writer.untilAcknowledged(50, 10_000);
  await writer.stop();
  await rows(plain.primary.uri, "delete from written where writer = 2 and id = 7");
  await rows(plain.primary.uri, "insert into written values (2, 1000000)");
  const result = await writer.check(plain.primary.uri);
  expect(result.lost).toEqual([7]);
  expect(result.invented).toEqual([1_000_000]);
});

test("the writer measures how long a frozen server took no write", async () => {
  const writer = startWriter({ hosts: [plain.primary.uri], writer: 3 });
  await writer.untilAcknowledged(50, 10_000);
  const since = performance.now();
  const frozen = signalTree(() => withDescendants(allProcesses(), [plain.primary.pid]), "SIGSTOP");
  await untilFrozen(frozen, 2000);
  const count = writer.acknowledged;
  await holds("no write", { forMs: 700 }, () => writer.acknowledged <= count + 1);
  signalTree(() => frozen, "SIGCONT");
  const thawedAt = performance.now();
  await writer.nextAckOverNewConnection(since, 5000);
  await writer.stop();
  expect(writer.gapSince(since).ms).toBeGreaterThan(700);
  expect(writer.gapSince(since).ms).toBeLessThan(thawedAt - since + 1500);
  const result = await writer.check(plain.primary.uri);
  expect(result.lost).toEqual([]);
  expect(result.unknown).toBeGreaterThanOrEqual(1);
});

test("the ways to write pass on a primary, and none of them in recovery", async () => {
  const insert = "insert into written values (4, (random() * 1e15)::bigint)";
  const passed = await writesThatPass(plain.primary.uri, insert);
  expect(passed).toEqual(["insert", "begin read write", "set", "PGOPTIONS"]);
  expect(await writesThatPass(plain.servers[1]?.uri ?? "", insert)).toEqual([]);
});
