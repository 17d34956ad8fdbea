/** Data servers in TLS: copied, streamed and rewound over connections that were checked, and over no other. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { atPrimary } from "../../src/agent/slots.ts";
import { monotonicClock } from "../../src/clock/clock.ts";
import { nodePassword } from "../../src/config/secrets.ts";
import { dialTls } from "../../src/config/tls.ts";
import { probeDataServer } from "../../src/db/data-server.ts";
import { silentLog } from "../../src/log/logger.ts";
import { takeBaseBackup } from "../../src/replication/base-backup.ts";
import { createAuthority, issueInto } from "../support/certificates.ts";
import { failOver } from "./fail-over.ts";
import { type Bench, openPair, orderFor, sql, untilStreaming } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair(silentLog, createAuthority("ours"));
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

const streams = `select s.ssl, s.client_dn from pg_stat_replication as r join pg_stat_ssl as s using (pid)`;

/** As the watch of a leader asks. */
function probe(tls: Parameters<typeof probeDataServer>[0]["tls"], port = bench.node(1).port) {
  const { config } = bench.node(2).agent;
  const password = nodePassword(config, 2);
  const user = "pgreplica_node_2";
  return probeDataServer({ host: "127.0.0.1", port, user, password, tls, limitMs: 2000 });
}

test("a standby was copied, and streams, in TLS", async () => {
  expect(await sql(bench.node(1), streams)).toEqual([
    { ssl: true, client_dn: "/CN=pgreplica_node_2" },
  ]);
  const role = await atPrimary(
    bench.node(2).agent,
    async (db) => (await db.query("select 1 as n")).rows,
  );
  expect(role).toEqual([{ n: 1 }]);
});

test("no copy is made over a connection that is not checked", async () => {
  const { config } = bench.node(2).agent;
  const copy = takeBaseBackup({
    host: "127.0.0.1",
    port: bench.node(1).port,
    user: "pgreplica_node_2",
    password: nodePassword(config, 2),
    dir: `${bench.node(2).dir}/nothing`,
    label: "test",
    clock: monotonicClock,
    signal: AbortSignal.timeout(10_000),
  });
  await expect(copy).rejects.toThrow(/pg_hba\.conf rejects replication connection .*no encryption/);
});

test("whoever speaks TLS is there, be he not who he should be; whom nobody answers for is not", async () => {
  const { config, paths } = bench.node(2).agent;
  expect(await probe(dialTls(config))).toBe("answers");
  const stranger = await issueInto(
    paths.newDir.replace(/[^/]*$/, ""),
    "stranger",
    createAuthority("x"),
    {
      commonName: "pgreplica_node_2",
      hosts: [],
    },
  );
  expect(await probe(stranger)).toBe("answers");
  expect(await probe(dialTls(config), 1)).toBe("refused");
});

test("the loser of a failover is rewound in TLS", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await failOver(bench, first, second);
  await ACTS.start(first.agent, orderFor(first));
  await ACTS.follow(first.agent, orderFor(first));
  expect(first.agent.state.rejoin).toMatchObject({ by: "rewind" });
  await ACTS.rewind(first.agent, orderFor(first));
  expect(first.kept.acts.map(({ event }) => event)).toContain("rewound");
  await ACTS.join(first.agent, orderFor(first));
  await untilStreaming(first);
  expect(await sql(second, streams)).toEqual([{ ssl: true, client_dn: "/CN=pgreplica_node_1" }]);
}, 60_000);
