/** Logging in to a stream: each method, each mode of TLS, and servers that are not what they say. */
import { chmod, chown, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ReplicationClient, type ReplicationConfig } from "../../src/logical/index.ts";
import { openSocket } from "../../src/replication/socket.ts";
import { planTls, type TlsConfig } from "../../src/replication/tls.ts";
import { type Authority, createAuthority, issueInto } from "../support/certificates.ts";
import { openRelay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import { type Bench, collect, commits, ids, openBench } from "./bench.ts";

const HBA = [
  "local all all trust",
  "hostssl all by_cert 127.0.0.1/32 cert",
  "host all scram 127.0.0.1/32 scram-sha-256",
  "host all hashed 127.0.0.1/32 md5",
  "host all plain 127.0.0.1/32 password",
  "host all postgres 127.0.0.1/32 trust",
  "",
].join("\n");
const ROLES = ["by_cert", "scram", "plain", "hashed"];

let bench: Bench;
let authority: Authority;
let ca = "";
let slot: ReplicationConfig;

/** The server's certificate is for this name and no address, or for its address. */
async function serve(hosts: readonly string[]): Promise<void> {
  const { lab, server } = bench;
  const { cert, key } = authority.issue({ commonName: "server", hosts });
  const name = hosts.join("-").replaceAll(".", "_");
  const [certFile, keyFile] = [lab.path(`${name}.crt`), lab.path(`${name}.key`)];
  await writeFile(certFile, cert);
  await chmod(certFile, 0o644);
  await writeFile(keyFile, key, { mode: 0o600 });
  if (lab.owner !== undefined) await chown(keyFile, lab.owner.uid, lab.owner.gid);
  await server.sql(`alter system set ssl_cert_file = '${certFile}'`);
  await server.sql(`alter system set ssl_key_file = '${keyFile}'`);
  await server.sql("alter system set ssl = on");
  await server.sql("select pg_reload_conf()");
  const tls: TlsConfig = { mode: "verify-full", ca, serverName: hosts[0] };
  await until("the certificate is in force", { limitMs: 5000 }, async () => {
    await (await ReplicationClient.connect({ ...slot, tls })).shutdown();
    return true;
  });
}

beforeAll(async () => {
  bench = await openBench(undefined, {}, HBA);
  authority = createAuthority("tests");
  ca = authority.cert;
  const { lab, server } = bench;
  await writeFile(lab.path("clients.ca"), ca);
  await chmod(lab.path("clients.ca"), 0o644);
  await server.sql(`alter system set ssl_ca_file = '${lab.path("clients.ca")}'`);
  for (const role of ROLES) {
    const how = role === "hashed" ? "md5" : "scram-sha-256";
    await server.sql(`set password_encryption = '${how}';
      create role ${role} login replication password 'secret'`);
  }
  slot = await bench.slot();
}, 60_000);
afterAll(() => bench.lab.close());

/** Connects, sees that the stream is encrypted or not, ends. */
async function isEncrypted(more: Partial<ReplicationConfig>): Promise<boolean> {
  const client = await ReplicationClient.connect({ ...slot, password: "secret", ...more });
  const encrypted = await bench.server.value(
    `select ssl from pg_stat_ssl join pg_stat_replication using (pid)`,
  );
  await client.shutdown();
  return encrypted === "t";
}
const refused = (more: Partial<ReplicationConfig>) =>
  expect(ReplicationClient.connect({ ...slot, password: "secret", ...more })).rejects;

test("in plain text: SCRAM and MD5; a password in clear text only where it was allowed", async () => {
  expect(await isEncrypted({ user: "scram" })).toBe(false);
  expect(await isEncrypted({ user: "hashed" })).toBe(false);
  await refused({ user: "plain" }).toMatchObject({ kind: "auth", isTransient: false });
  expect(await isEncrypted({ user: "plain", requireAuth: ["password"] })).toBe(false);
  await refused({ user: "hashed", requireAuth: ["scram-sha-256"] }).toThrow(/md5; accepted: scram/);
  await refused({ user: "scram", password: "wrong" }).toMatchObject({
    kind: "auth",
    sqlstate: "28P01",
  });
  await refused({ user: "scram", channelBinding: "require" }).toThrow(/not encrypted/);
});

test("a server without TLS: prefer goes on in plain text, require does not", async () => {
  expect(await isEncrypted({ tls: { mode: "prefer" } })).toBe(false);
  await refused({ tls: { mode: "require" } }).toMatchObject({ kind: "tls" });
});

test("prefer goes on in plain text only on the server's N", async () => {
  for (const answer of ["E", "X", "SX", ""]) {
    const stranger = createServer((socket) => {
      socket.on("error", () => undefined).once("data", () => socket.end(answer));
    });
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
    const at = stranger.address();
    const port = typeof at === "object" && at !== null ? at.port : 0;
    await refused({ port, tls: { mode: "prefer" } }).toMatchObject({
      kind: expect.stringMatching(/^(protocol|io)$/),
    });
    await new Promise((resolve) => stranger.close(resolve));
  }
});

test("each mode of TLS, by a name the certificate has and has not", async () => {
  await serve(["db.example"]);
  expect(await isEncrypted({ tls: { mode: "prefer" } })).toBe(true);
  expect(await isEncrypted({ tls: { mode: "require" } })).toBe(true); // self-signed, and not looked at
  expect(await isEncrypted({ tls: { mode: "verify-ca", ca } })).toBe(true);
  await refused({ tls: { mode: "verify-full", ca } }).toMatchObject({ kind: "tls" });
  const named = { mode: "verify-full", ca, serverName: "db.example" } as const;
  expect(await isEncrypted({ tls: named })).toBe(true);
  await refused({ tls: { ...named, serverName: "other.example" } }).toMatchObject({ kind: "tls" });
  const stranger = createAuthority("somebody else").cert;
  for (const mode of ["require", "verify-ca", "verify-full"] as const) {
    await refused({ tls: { mode, ca: stranger } }).toMatchObject({ kind: "tls" });
  }
  await refused({ tls: { mode: "verify-ca" } }).toMatchObject({ kind: "tls" });
  await serve(["127.0.0.1"]);
  expect(await isEncrypted({ tls: { mode: "verify-full", ca } })).toBe(true);
});

test("mTLS: who has a certificate, and nobody else", async () => {
  await serve(["127.0.0.1"]);
  const subject = { commonName: "by_cert", hosts: [] };
  const own = await issueInto(bench.lab.path(""), "client", authority, subject);
  const tls = { mode: "verify-full", ca, cert: own.cert, key: own.key } as const;
  expect(await isEncrypted({ user: "by_cert", tls, requireAuth: ["cert"] })).toBe(true);
  await refused({ user: "by_cert", tls: { mode: "verify-full", ca } }).toMatchObject({
    kind: "auth",
    sqlstate: "28000",
  });
  const foreign = createAuthority("somebody else").issue(subject);
  await refused({ user: "by_cert", tls: { ...tls, ...foreign } }).toMatchObject({
    kind: expect.stringMatching(/^(auth|tls|io|server)$/),
  });
  await refused({ user: "postgres", tls, requireAuth: ["scram-sha-256"] }).toThrow(
    /cert; accepted/,
  );
});

test("channel binding: required and there; a man in the middle is found out by it", async () => {
  await serve(["127.0.0.1"]);
  const tls = { mode: "require" } as const;
  expect(await isEncrypted({ user: "scram", tls, channelBinding: "require" })).toBe(true);
  await refused({ user: "hashed", tls, channelBinding: "require" }).toMatchObject({ kind: "auth" });
  await refused({ user: "postgres", tls, channelBinding: "require" }).toMatchObject({
    kind: "auth",
  });
  const middle = await openMiddle();
  try {
    const there = { port: middle.port, tls };
    expect(await isEncrypted({ user: "hashed", ...there })).toBe(true); // MD5 does not notice
    await refused({ user: "scram", ...there }).toMatchObject({ kind: "auth" });
    expect(await isEncrypted({ user: "scram", ...there, channelBinding: "disable" })).toBe(true);
  } finally {
    middle.close();
  }
});

/** Takes TLS by a certificate of its own, and passes on what it reads. */
async function openMiddle() {
  const { cert, key } = createAuthority("nobody").issue({ commonName: "x", hosts: ["127.0.0.1"] });
  const secureContext = createSecureContext({ cert, key });
  const { host, port } = bench.server;
  const plan = await planTls({ mode: "require" }, host);
  const listener = createServer((client) => {
    client
      .on("error", () => undefined)
      .once("data", async () => {
        client.write("S");
        const secure = new TLSSocket(client, { isServer: true, secureContext });
        const to = { host, port, tls: plan };
        const server = await openSocket(to, new AbortController().signal);
        secure.on("error", () => server.destroy()).on("close", () => server.destroy());
        server.on("error", () => secure.destroy()).on("close", () => secure.end());
        secure.pipe(server);
        server.pipe(secure);
      });
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const at = listener.address();
  return {
    port: typeof at === "object" && at !== null ? at.port : 0,
    close: () => void listener.close(),
  };
}

test("a server that does not prove that it knows the password is refused", async () => {
  const SASL_FINAL = 12;
  const rogue = await openRelay(bench.server, (client) => ({
    fromServer: (chunk) => {
      const isFinal = chunk[0] === 0x52 && chunk.length > 9 && chunk.readInt32BE(5) === SASL_FINAL;
      client.write(isFinal ? chunk.subarray(1 + chunk.readInt32BE(1)) : chunk);
    },
  }));
  try {
    await refused({ user: "scram", port: rogue.port }).toThrow(/did not prove itself/);
  } finally {
    await rogue.close();
  }
});

test("no such slot, no such publication, slot in use: said at connect", async () => {
  await refused({ slot: "there_is_none" }).toMatchObject({ kind: "slot" });
  await refused({ publication: "none" }).toMatchObject({ sqlstate: "42704" });
  const first = await ReplicationClient.connect(slot);
  await refused({}).toMatchObject({ sqlstate: "55006", isTransient: true });
  await first.shutdown();
});

test("a publication of two tables, and no other; a batch of 100 upserts, each of them", async () => {
  const { server } = bench;
  await server.sql("create table a (id int primary key, v text); create table b (id int)");
  await server.sql("create publication two for table a, b");
  const config = { ...(await bench.slot()), publication: "two" };
  const upsert = (v: string) =>
    `insert into a select i, '${v}' from generate_series(1, 100) i
     on conflict (id) do update set v = excluded.v`;
  const client = await ReplicationClient.connect(config);
  const work = [upsert("first"), upsert("second"), "insert into b values (7)"];
  for (const sql of [...work, "insert into t values (1, 'elsewhere')", "insert into b values (8)"])
    await server.sql(sql);
  const events = await collect(client, commits(4));
  const rows = (kind: string, table: string) =>
    events.flatMap((one) =>
      (one.kind === "insert" || one.kind === "update") &&
      one.kind === kind &&
      one.relation.table === table
        ? [`${one.new.id} ${one.new.v}`]
        : [],
    );
  const hundred = (v: string) => Array.from({ length: 100 }, (_, index) => `${index + 1} ${v}`);
  expect(rows("insert", "a")).toEqual(hundred("first"));
  expect(rows("update", "a")).toEqual(hundred("second"));
  expect(rows("insert", "b")).toEqual(["7 undefined", "8 undefined"]);
  expect(ids(events)).toHaveLength(102);
});
