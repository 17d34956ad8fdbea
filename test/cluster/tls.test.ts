/** A cluster in TLS from its first connection on: founded, failed over, rejoined, grown, given other certificates. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { expect, test, vi } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { openSocket } from "../../src/replication/socket.ts";
import { planTls } from "../../src/replication/tls.ts";
import { certify } from "../support/by-hand.ts";
import { createAuthority } from "../support/certificates.ts";
import { untilHealthy, untilNewPrimary } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 120_000 });

let authority = createAuthority("first");
/** No election may come of a certificate; timers of a slower network leave none to a machine that stands still. */
const members = useMembers(4, { founders: 3, authority, preset: "wan" });

const { present } = members;

interface Session extends Record<string, unknown> {
  readonly role: string;
  readonly ssl: boolean;
  readonly dn: string | null;
}

/** Who is logged in over TCP at both servers of these nodes, and how. */
async function sessions(...ids: readonly number[]): Promise<Session[]> {
  const text = `select a.usename::text as role, s.ssl, s.client_dn as dn
                  from pg_stat_activity as a join pg_stat_ssl as s using (pid)
                 where a.client_port > 0 and a.usename is not null and a.pid <> pg_backend_pid()`;
  const uris = ids.flatMap((id) => [
    members.all.node(id).control.uri,
    members.all.node(id).data.uri,
  ]);
  return (await Promise.all(uris.map((uri) => rows<Session>(uri, text)))).flat();
}

test("every member comes in TLS, and shows the certificate of its role", async () => {
  const members = (await sessions(1, 2, 3)).filter(({ role }) => role.startsWith("pgreplica_"));
  const roles = new Set(members.map(({ role }) => role));
  expect([...roles].sort()).toEqual(["pgreplica_node_1", "pgreplica_node_2", "pgreplica_node_3"]);
  for (const { role, ssl, dn } of members)
    expect({ ssl, dn }).toEqual({ ssl: true, dn: `/CN=${role}` });
  // Two links each to two control stores, and a WAL receiver for each standby, at least.
  expect(members.length).toBeGreaterThanOrEqual(8);
});

test("SQL that another node must answer gets there in TLS too", async () => {
  const leader = Number(await value(members.all.node(1).control.uri, "select pg_replica.leader()"));
  const [other = 0] = [1, 2, 3].filter((id) => id !== leader);
  const uri = members.all.node(other).control.uri;
  await rows(uri, "select pg_replica.kv_put('way', 'in TLS')");
  expect(await value(uri, "select pg_replica.kv_get('way')")).toBe("in TLS");
});

/** Who has issued the certificate that a server shows to whoever connects now. */
async function issuerAt(port: number): Promise<string> {
  const tls = await planTls({ mode: "require" }, "127.0.0.1");
  const address = { host: "127.0.0.1", port, tls };
  const socket = (await openSocket(address, AbortSignal.timeout(5000))) as TLSSocket;
  try {
    return socket.getPeerX509Certificate()?.issuer ?? "";
  } finally {
    socket.destroy();
  }
}

const inNode = (id: number, name: string) => join(members.all.top, `node${id}`, name);
const log = (id: number) => readFile(members.all.logOf(id), "utf8");

async function untilTaken(what: string, wanted: () => Promise<boolean>): Promise<void> {
  await until(what, { limitMs: 10_000, everyMs: 50 }, wanted);
}

test("authority and certificates are exchanged under load: no failover, no election, nothing lost", async () => {
  const { primary } = await untilHealthy(present(1, 2, 3));
  await createWriterTable(members.all.node(primary).data.uri);
  const term = await value(members.all.node(1).control.uri, "select pg_replica.term()");
  const writer = startWriter({ hosts: present(1, 2, 3).dataUris(), everyMs: 5 });
  const second = createAuthority("second");

  // 1. Everybody believes both.
  for (const id of [1, 2, 3]) await writeFile(inNode(id, "node.ca"), authority.cert + second.cert);
  await untilTaken("both authorities are believed", async () => {
    const taken = await Promise.all(
      [1, 2, 3].map((id) => readFile(inNode(id, "tls/ca.pem"), "utf8")),
    );
    return taken.every((text) => text.includes(second.cert));
  });
  // 2. New certificates, one node after the other. Half of an exchange is none.
  for (const id of [1, 2, 3]) {
    const { cert, key } = second.issue({
      commonName: `pgreplica_node_${id}`,
      hosts: ["127.0.0.1"],
    });
    await writeFile(inNode(id, "node.crt"), cert);
    await untilTaken("half an exchange is refused", async () =>
      /tls\.refused.*tls\.key: .*expected the private key of tls\.cert/.test(await log(id)),
    );
    expect(await issuerAt(members.all.node(id).control.port)).toBe("CN=first");
    await writeFile(inNode(id, "node.key"), key);
    for (const { port } of [members.all.node(id).control, members.all.node(id).data]) {
      await untilTaken("the server shows it", async () => (await issuerAt(port)) === "CN=second");
    }
  }
  // 3. The old authority is believed no more.
  for (const id of [1, 2, 3]) await writeFile(inNode(id, "node.ca"), second.cert);
  await untilTaken("the old one is forgotten", async () => {
    const taken = await Promise.all(
      [1, 2, 3].map((id) => readFile(inNode(id, "tls/ca.pem"), "utf8")),
    );
    return taken.every((text) => text === second.cert);
  });
  // All that was connected connects again, and is let in by the new certificate.
  for (const id of [1, 2, 3]) {
    const end = `select pg_terminate_backend(pid) from pg_stat_activity where usename ~ '^pgreplica_node_'`;
    await rows(members.all.node(id).control.uri, end);
    await rows(members.all.node(id).data.uri, end);
  }
  await untilHealthy(present(1, 2, 3), 30_000);
  const issuers = `select distinct s.issuer_dn from pg_stat_ssl as s join pg_stat_activity as a using (pid)
                    where a.usename ~ '^pgreplica_node_'`;
  for (const { control, data } of present(1, 2, 3).nodes) {
    expect(await rows(control.uri, issuers)).toEqual([{ issuer_dn: "/CN=second" }]);
    if (data.port !== members.all.node(primary).data.port) continue;
    expect(await rows(data.uri, issuers)).toEqual([{ issuer_dn: "/CN=second" }]);
  }
  await writer.stop();
  const result = await writer.check(members.all.node(primary).data.uri);
  expect(result).toMatchObject({ lost: [], invented: [] });
  expect(result.acknowledged).toBeGreaterThan(200);
  console.log(`largest gap: ${result.largestGap.ms.toFixed(0)} ms`);
  expect(await value(members.all.node(1).control.uri, "select pg_replica.term()")).toBe(term);
  const epochs = "select count(*)::integer from pg_replica.history()";
  expect(await value(members.all.node(1).control.uri, epochs)).toBe("1");
  authority = second;
});

test("a dead primary is replaced in TLS, and comes back as a standby", async () => {
  const { primary } = await untilHealthy(present(1, 2, 3));
  const pid = await readFile(join(members.all.node(primary).data.dir, "postmaster.pid"), "utf8");
  const started = monotonicClock.now();
  process.kill(Number(pid.split("\n")[0]), "SIGKILL");
  const taker = await untilNewPrimary(present(1, 2, 3), primary);
  console.log(`replaced within ${(monotonicClock.now() - started).toFixed(0)} ms`);
  const healthy = await untilHealthy(present(1, 2, 3));
  expect(healthy.primary).toBe(taker);
  expect(healthy.standbys).toContain(primary);
});

test("a node joins in TLS: invited, copied, attached, each over a checked connection", async () => {
  await certify(members.all.top, 4, authority);
  await members.join(4, 1);
  await untilHealthy(present(1, 2, 3, 4), 60_000);
  const fourth = (await sessions(1, 2, 3)).filter(({ role }) => role === "pgreplica_node_4");
  expect(new Set(fourth.map(({ ssl, dn }) => `${ssl} ${dn}`))).toEqual(
    new Set(["true /CN=pgreplica_node_4"]),
  );
});
