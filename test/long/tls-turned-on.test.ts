/** A cluster in plain text turns TLS on, node by node, while clients write: no failover, and then nothing else. */
import { readFile, writeFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { nodePassword } from "../../src/config/secrets.ts";
import type { TlsMode } from "../../src/config/tls.ts";
import { connect } from "../../src/db/connect.ts";
import { certify, endWorker } from "../support/by-hand.ts";
import { createAuthority } from "../support/certificates.ts";
import { untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 180_000 });

const IDS = [1, 2, 3] as const;
/** Nine restarts of workers beside a writer: each has the lease of a slower network to come back in. */
const members = useMembers(3, { preset: "wan" });

/** Another file for a node, and another worker for its servers. */
async function set(id: number, mode: TlsMode): Promise<void> {
  const file = JSON.parse(await readFile(members.all.configOf(id), "utf8"));
  file.tls = { ca: "node.ca", cert: "node.crt", key: "node.key", mode };
  await writeFile(members.all.configOf(id), JSON.stringify(file));
  const worker = members.workers.get(id);
  if (worker !== undefined) await endWorker(worker);
  members.workers.set(id, await members.all.run(id));
  await until(`node ${id} runs with ${mode}`, { limitMs: 20_000, everyMs: 50 }, async () => {
    const shown = await value(members.all.node(id).control.uri, "show ssl");
    const adopted = (await readFile(members.all.logOf(id), "utf8")).match(/data\.adopted/g) ?? [];
    return shown === "on" && adopted.length === 1 + MODES.indexOf(mode);
  });
  await untilHealthy(members.present(...IDS), 30_000);
}

const MODES: readonly TlsMode[] = ["offer", "use", "only"];

/** Which of the members' sessions are in TLS, over all servers. */
async function secured(): Promise<Set<boolean>> {
  const text = `select s.ssl from pg_stat_activity as a join pg_stat_ssl as s using (pid)
                 where a.usename ~ '^pgreplica_node_'`;
  const uris = IDS.flatMap((id) => [
    members.all.node(id).control.uri,
    members.all.node(id).data.uri,
  ]);
  const found = await Promise.all(uris.map((uri) => rows<{ ssl: boolean }>(uri, text)));
  return new Set(found.flat().map(({ ssl }) => ssl));
}

test("offer, use, only: writes go on, the primary and its epoch stay", async () => {
  const authority = createAuthority("ours");
  for (const id of IDS) await certify(members.all.top, id, authority);
  const { primary } = await untilHealthy(members.present(...IDS));
  await createWriterTable(members.all.node(primary).data.uri);
  const writer = startWriter({ hosts: members.present(...IDS).dataUris(), everyMs: 5 });
  expect(await secured()).toEqual(new Set([false]));
  for (const mode of MODES) {
    for (const id of IDS) await set(id, mode);
    if (mode === "offer") continue;
    await until(`all sessions in TLS under ${mode}`, { limitMs: 20_000 }, async () => {
      return [...(await secured())].join() === "true";
    });
  }
  await writer.stop();
  const result = await writer.check(members.all.node(primary).data.uri);
  expect(result).toMatchObject({ lost: [], invented: [] });
  console.log(`largest gap: ${result.largestGap.ms.toFixed(0)} ms`);
  const epochs = "select count(*)::integer from pg_replica.history()";
  expect(await value(members.all.node(1).control.uri, epochs)).toBe("1");
});

test("from then on a member's password in plain text is refused", async () => {
  const config = await loadConfig(members.all.configOf(2), {});
  for (const { port } of [members.all.node(1).control, members.all.node(1).data]) {
    const plain = connect({
      host: "127.0.0.1",
      port,
      user: "pgreplica_node_2",
      password: nodePassword(config, 2),
      applicationName: "test",
      connectLimitMs: 5000,
    });
    await expect(plain).rejects.toThrow(/pg_hba\.conf rejects connection .*no encryption/);
  }
});
