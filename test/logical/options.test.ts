import { expect, test } from "vitest";
import {
  describe as describeConfig,
  Lsn,
  ReplicationClient,
  type ReplicationConfig,
  ReplicationError,
} from "../../src/logical/index.ts";
import { settingsOf } from "../../src/logical/options.ts";

const LEAST: ReplicationConfig = { slot: "s", publications: ["p"] };

test("the least one must say is slot and publication; the rest has defaults", () => {
  expect(settingsOf({ slot: "s", publication: "p" })).toMatchObject({
    hosts: [{ host: "127.0.0.1", port: 5432 }],
    target: "primary",
    user: "postgres",
    database: "postgres",
    publications: ["p"],
    startLsn: Lsn.ZERO,
    onForwarded: "error",
    statusIntervalMs: 10_000,
    idleWakeupIntervalMs: 10_000,
    bufferEvents: 8192,
    bufferBytes: 67_108_864,
    decode: "rows",
    streaming: "off",
    channelBinding: "prefer",
    applicationName: "pg-replica",
    reconnect: undefined,
  });
});

test("reconnect: true has its own defaults", () => {
  const { reconnect } = settingsOf({ ...LEAST, reconnect: true });
  expect(reconnect).toEqual({ maxAttempts: 10, baseDelayMs: 200, maxDelayMs: 5000 });
  expect(settingsOf({ ...LEAST, reconnect: false }).reconnect).toBeUndefined();
});

test.each<[string, { host: string; port: number }]>([
  ["db1", { host: "db1", port: 6000 }],
  ["db1:5433", { host: "db1", port: 5433 }],
  ["[::1]:5433", { host: "::1", port: 5433 }],
  ["[::1]", { host: "::1", port: 6000 }],
  ["/var/run/postgresql", { host: "/var/run/postgresql", port: 6000 }],
])("a host may be written %s", (text, meant) => {
  expect(settingsOf({ ...LEAST, hosts: [text], port: 6000 }).hosts).toEqual([meant]);
});

test.each<[string, object, RegExp]>([
  ["a field nobody knows", { slott: "x" }, /slott/],
  ["no slot", { slot: undefined }, /slot/],
  ["an empty slot", { slot: "" }, /slot/],
  ["no publication", { publications: undefined }, /publications: at least one/],
  ["an empty list of publications", { publications: [] }, /publications/],
  ["publication said twice", { publication: "q" }, /publication, publications: give one/],
  ["host said twice", { host: "a", hosts: ["b"] }, /host, hosts: give one/],
  ["a port out of range", { port: 70_000 }, /port/],
  ["a port out of range within hosts", { hosts: ["db:0"] }, /port 0 of "db:0"/],
  ["a negative duration", { statusIntervalMs: -1 }, /statusIntervalMs/],
  ["a fraction", { bufferEvents: 1.5 }, /bufferEvents/],
  ["a number where an LSN belongs", { startLsn: 12 }, /startLsn/],
  ["a protocol version of the future", { protocolVersion: 5 }, /protocolVersion/],
  ["a TLS mode libpq knows and we do not", { tls: { mode: "allow" } }, /tls\.mode/],
  ["an unknown login method", { requireAuth: ["gss"] }, /requireAuth/],
  ["a zero byte", { user: "a\0b" }, /user/],
])("%s is refused before dialling, and named", async (_, wrong, message) => {
  const refused = ReplicationClient.connect({ ...LEAST, ...wrong } as ReplicationConfig);
  await expect(refused).rejects.toThrow(ReplicationError);
  await expect(refused).rejects.toMatchObject({ kind: "config", isTransient: false });
  await expect(refused).rejects.toThrow(message);
});

test.each([
  ["cert without key", { cert: "-----BEGIN CERTIFICATE-----" }, /belong together/],
  [
    "a file that is not there",
    { ca: "/nowhere/ca.pem" },
    /tls\.ca: cannot read \/nowhere\/ca\.pem/,
  ],
  ["a text that is no PEM", { ca: "/dev/null" }, /tls\.ca: \/dev\/null is empty/],
  [
    "a PEM that is no certificate",
    { ca: "-----BEGIN CERTIFICATE-----\nxx\n" },
    /tls\.ca: the PEM text/,
  ],
])("TLS with %s is refused before dialling", async (_, wrong, message) => {
  const refused = ReplicationClient.connect({
    ...LEAST,
    port: 1,
    tls: { mode: "verify-full", ...wrong },
  });
  await expect(refused).rejects.toMatchObject({ kind: "config" });
  await expect(refused).rejects.toThrow(message);
});

test("what is described holds no secrets", () => {
  const text = JSON.stringify(
    describeConfig({
      ...LEAST,
      password: "hunter2",
      startLsn: Lsn.parse("1/A"),
      tls: {
        mode: "require",
        key: "-----BEGIN PRIVATE KEY-----abc",
        cert: "/c.pem",
        passphrase: "hunter3",
      },
    }),
  );
  expect(text).not.toMatch(/hunter|abc/);
  expect(text).toContain('"startLsn":"1/A"');
  expect(text).toContain('"cert":"/c.pem"');
});
