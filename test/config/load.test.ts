/** What a good configuration becomes, and what the environment may change. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { uuidV5 } from "../../src/config/cluster-id.ts";
import { clusterIdOf, loadConfig } from "../../src/config/load.ts";

const YAML = `
cluster: shop
node: { id: 2, name: node2 }
data: { dir: data, port: 7433, settings: { work_mem: 8MB, jit: false, max_connections: 50 } }
control: { dir: /srv/control, port: 7483 }
peer_password_file: peer.secret
peers:
  - { id: 1, name: node1, host: 127.0.0.1, port: 7482, data_port: 7432 }
  - { id: 2, name: node2, host: 127.0.0.1, port: 7483, data_port: 7433 }
  - { id: 3, name: witness, host: 127.0.0.1, port: 7484 }
`;
let dir: string;
let file: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgr-config-"));
  file = join(dir, "node.yaml");
  await writeFile(file, YAML);
  await writeFile(join(dir, "peer.secret"), "0123456789abcdef\n", { mode: 0o600 });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("paths become absolute, defaults apply, settings become text", async () => {
  const config = await loadConfig(file, {});
  expect(config.dir).toBe(dir);
  expect(config.data).toEqual({
    dir: join(dir, "data"),
    host: "127.0.0.1",
    listen: "127.0.0.1",
    logical: false,
    port: 7433,
    settings: { work_mem: "8MB", jit: "off", max_connections: "50" },
    hba: ["host all all 127.0.0.1/32 scram-sha-256"],
  });
  expect(config.control.dir).toBe("/srv/control");
  expect(config.peerSecret).toBe("0123456789abcdef");
  expect(config.superuserPassword).toBeUndefined();
  // Two data members and a witness: the survivor of the two may go on alone.
  expect(config.syncMode).toBe("available");
  expect((await loadConfig(file, { PG_REPLICA_SYNC_MODE: "quorum" })).syncMode).toBe("quorum");
  expect(config.timing).toEqual({
    heartbeatMs: 100,
    electionMs: 1000,
    probeMs: 200,
    silentMs: 1000,
    leaseMs: 3000,
  });
  expect(config).toMatchObject({ strictReads: false, watchdog: "auto" });
});

test("a peer without a data port is a witness; others are reached at their control host", async () => {
  const { peers } = await loadConfig(file, {});
  expect(peers[1]).toMatchObject({ id: 2, dataHost: "127.0.0.1", dataPort: 7433 });
  expect(peers[2]).toEqual({ id: 3, name: "witness", host: "127.0.0.1", port: 7484 });
});

test("the environment overrides keys at any depth, in the type the key has", async () => {
  const config = await loadConfig(file, {
    PG_REPLICA_TIMING_PRESET: "wan",
    PG_REPLICA_TIMING_ELECTION_MS: "4000",
    PG_REPLICA_RUN_AS: "1000",
    PG_REPLICA_DATA_SETTINGS: "{ work_mem: 16MB }",
    PG_REPLICA_DATA_HBA: '["host all all ::1/128 scram-sha-256"]',
    PG_REPLICA_DEBUG: "1",
    HOME: "/elsewhere",
  });
  expect(config.timing).toMatchObject({ electionMs: 4000, heartbeatMs: 300 });
  expect(config.runAs).toBe("1000");
  expect(config.data?.settings).toEqual({ work_mem: "16MB" });
  expect(config.data?.hba).toEqual(["host all all ::1/128 scram-sha-256"]);
});

test("an environment variable that stands for no key is an error that names it", async () => {
  await expect(loadConfig(file, { PG_REPLICA_DATA_PROT: "1" })).rejects.toThrow(
    "PG_REPLICA_DATA_PROT: unknown variable: expected one of PG_REPLICA_DATA_DIR, " +
      "PG_REPLICA_DATA_HOST, PG_REPLICA_DATA_PORT, PG_REPLICA_DATA_LISTEN, " +
      "PG_REPLICA_DATA_SETTINGS, PG_REPLICA_DATA_LOGICAL, PG_REPLICA_DATA_HBA (in environment)",
  );
});

test("a bad value from the environment names its variable", async () => {
  await expect(loadConfig(file, { PG_REPLICA_DATA_PORT: "many" })).rejects.toThrow(
    "data.port: many: expected a port, 1 to 65535 (in environment, PG_REPLICA_DATA_PORT)",
  );
  await expect(loadConfig(file, { PG_REPLICA_CONTROL_PORT: "7433" })).rejects.toThrow(
    "control.port: 7433: expected another port than data.port",
  );
});

test("uuid v5 is the one of RFC 9562", () => {
  const dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
  expect(uuidV5(dns, "www.example.com")).toBe("2ed6657d-e927-568b-95e1-2665a8aea6a2");
});

test("the cluster id is the same for the same members in any order, and for ever", async () => {
  const { clusterId, cluster, peers } = await loadConfig(file, {});
  expect(clusterIdOf(cluster, peers.toReversed())).toBe(clusterId);
  expect(clusterId).toBe("11f7266d-ffd6-52fb-967c-eea904734e5c");
});

test("another name, member or control address is another cluster; a data port is not", async () => {
  const { clusterId, peers } = await loadConfig(file, {});
  const [first, ...rest] = peers;
  if (first === undefined) throw new Error("no peers");
  const ids = [
    clusterIdOf("shop2", peers),
    clusterIdOf("shop", rest),
    clusterIdOf("shop", [{ ...first, port: 1 }, ...rest]),
    clusterIdOf("shop", [{ ...first, name: "x" }, ...rest]),
  ];
  expect(new Set([...ids, clusterId]).size).toBe(5);
  expect(clusterIdOf("shop", [{ ...first, dataPort: 1 } as typeof first, ...rest])).toBe(clusterId);
});
