/** The secret of the members is exchanged node by node while clients write: the old one opens nothing any more. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { nodePassword } from "../../src/config/secrets.ts";
import { endWorker } from "../support/by-hand.ts";
import { untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { open, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 180_000 });

const IDS = [1, 2, 3] as const;
/** Three restarts of workers beside a writer: each has the lease of a slower network to come back in. */
const members = useMembers(3, { preset: "wan" });
const { node, present } = members;

async function rotate(id: number): Promise<void> {
  const path = members.all.configOf(id);
  const file = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...file, peer_password_file: "../next.password" }));
  const worker = members.workers.get(id);
  if (worker !== undefined) await endWorker(worker);
  await members.run(id);
}

/** What node 1 hears that logs in to a server by this password. */
async function login(port: number, password: string): Promise<string> {
  const uri = `postgresql://pgreplica_node_1:${password}@127.0.0.1:${port}/postgres`;
  try {
    await (await open(uri)).end();
    return "let in";
  } catch (error) {
    return sqlstate(error);
  }
}

test("standbys first, the primary's node last: writes go on, nobody is promoted, the old secret opens nothing", async () => {
  const { primary, standbys, epoch } = await untilHealthy(present(...IDS));
  const old = nodePassword(await loadConfig(members.all.configOf(1)), 1);
  await createWriterTable(node(primary).data.uri);
  await writeFile(join(members.all.top, "next.password"), "another secret, as long as it takes\n", {
    mode: 0o600,
  });
  const writer = startWriter({ hosts: [node(primary).data.uri], everyMs: 5 });
  for (const id of [...standbys, primary]) {
    await rotate(id);
    await writer.untilAcknowledged(100, 20_000);
  }
  const now = nodePassword(await loadConfig(members.all.configOf(1)), 1);
  expect(now).not.toBe(old);
  for (const id of IDS) {
    for (const { port } of [node(id).data, node(id).control]) {
      await until(`the secret holds at ${port}`, { limitMs: 20_000 }, async () => {
        return (await login(port, now)) === "let in";
      });
      expect(await login(port, old)).toBe("28P01");
    }
  }
  expect(await untilHealthy(present(...IDS), 30_000)).toMatchObject({ primary, epoch });
  // Every connection is made anew by it: SQL that another node answers, a stream, an election.
  const [standby = 0] = standbys;
  expect(await value(node(standby).control.uri, "select pg_replica.replicate('x') > 0")).toBe(
    "true",
  );
  const text = "select state from pg_replica.switchover($1::integer)";
  expect(await value(node(primary).control.uri, text, [standby], { answerMs: 40_000 })).toBe(
    "done",
  );
  expect((await untilHealthy(present(...IDS), 60_000)).primary).toBe(standby);
  await writer.stop();
  expect(await writer.check(node(standby).data.uri)).toMatchObject({ lost: [], invented: [] });
});
