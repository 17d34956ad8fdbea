/** Files of `tls`: what members would not believe is refused before anything starts, in a sentence of its own. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTls, type TlsPaths, type TlsSubject } from "../../src/config/certificates.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Authority, createAuthority, issueInto } from "../support/certificates.ts";
import { findProgram, mustRun } from "../support/programs.ts";
import { skip } from "../support/skip.ts";

const NODE1 = { commonName: "pgreplica_node_1", hosts: ["127.0.0.1", "db1.example.com"] };
const SUBJECT: TlsSubject = {
  nodeId: 1,
  hosts: [
    ["control.host", "127.0.0.1"],
    ["data.host", "db1.example.com"],
  ],
};

let dir: string;
let authority: Authority;
let paths: TlsPaths;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgr-tls-"));
  authority = createAuthority("test");
  paths = await issueInto(dir, "node1", authority, NODE1);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** What is said of these files, and the key it is said of. */
async function said(changed: Partial<TlsPaths>, subject = SUBJECT): Promise<string[]> {
  const { problems } = await readTls({ ...paths, ...changed }, subject);
  return problems.map(({ key, value, expected }) =>
    `${key}: ${value}: expected ${expected}`.replaceAll(dir, "DIR"),
  );
}

async function file(name: string, text: string, mode = 0o600): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

test("what fits together is taken whole, with the day it ends", async () => {
  const { problems, material } = await readTls(paths, SUBJECT);
  expect(problems).toEqual([]);
  expect(material?.ca).toBe(await readFile(paths.ca, "utf8"));
  expect(material?.own).toMatch(/^-----BEGIN CERTIFICATE-----[\s\S]+-----BEGIN PRIVATE KEY-----/);
  expect(material?.validTo.getTime()).toBeGreaterThan(Date.now() + 360 * 24 * 3600_000);
});

test("a certificate of somebody else, for elsewhere, or of another authority is none", async () => {
  const role = "expected a certificate with CN=pgreplica_node_2, the role of node 2";
  expect(await said({}, { ...SUBJECT, nodeId: 2 })).toEqual([
    `tls.cert: DIR/node1.crt: ${role}: it has CN=pgreplica_node_1`,
  ]);
  expect(await said({}, { ...SUBJECT, hosts: [["data.host", "10.0.0.7"]] })).toEqual([
    "tls.cert: DIR/node1.crt: expected a certificate for 10.0.0.7, which is data.host: " +
      "it has IP Address:127.0.0.1, DNS:db1.example.com",
  ]);
  const other = await file("other.ca", createAuthority("test").cert);
  expect(await said({ ca: other })).toEqual([
    "tls.cert: DIR/node1.crt: expected a certificate that leads to an authority in tls.ca: CN=test issued it",
  ]);
});

test("of several authorities one is enough: that is how they are exchanged", async () => {
  const both = await file("both.ca", `${createAuthority("test").cert}${authority.cert}`);
  expect(await said({ ca: both })).toEqual([]);
});

test("a key of another certificate, with a passphrase, for all to read, or not there", async () => {
  const other = await issueInto(dir, "other", authority, NODE1);
  expect(await said({ key: other.key })).toEqual([
    "tls.key: DIR/other.key: expected the private key of tls.cert: it is another certificate's",
  ]);
  const open = await file("open.key", await readFile(paths.key, "utf8"), 0o644);
  expect(await said({ key: open })).toEqual([
    "tls.key: DIR/open.key: expected a file that others cannot read: its mode is 0644, chmod 600 it",
  ]);
  const locked = await file("locked.key", await lockedKey());
  expect(await said({ key: locked })).toEqual([
    "tls.key: DIR/locked.key: expected a key without a passphrase",
  ]);
  expect(await said({ key: join(dir, "none") })).toEqual([
    "tls.key: DIR/none: expected a readable file: there is none",
  ]);
  const none = await file("no.key", await readFile(paths.cert, "utf8"));
  expect(await said({ key: none })).toEqual(["tls.key: DIR/no.key: expected a private key in PEM"]);
});

async function lockedKey(): Promise<string> {
  const key = createPrivateKey(await readFile(paths.key, "utf8"));
  const lock = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "xyz" } as const;
  return key.export(lock).toString();
}

test("what is no certificate is called so, each file for itself", async () => {
  const empty = await file("empty.pem", "");
  expect(await said({ ca: empty, cert: empty })).toEqual([
    "tls.ca: DIR/empty.pem: expected a certificate in PEM: there is no block CERTIFICATE in it",
    "tls.cert: DIR/empty.pem: expected a certificate in PEM: there is no block CERTIFICATE in it",
  ]);
});

test("the demo's certificates are what openssl takes for good", async (context) => {
  if (findProgram("openssl") === undefined) return skip(context, "openssl is not installed");
  const verified = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", paths.ca];
  expect(await mustRun("openssl", [...verified, paths.cert])).toContain("OK");
  const client = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", paths.ca];
  expect(await mustRun("openssl", [...client, paths.cert])).toContain("OK");
  expect(new X509Certificate(authority.cert).ca).toBe(true);
});

const YAML = `
cluster: shop
node: { id: 1, name: node1 }
data: { dir: data, host: db1.example.com, port: 7432 }
control: { dir: control, port: 7482 }
peer_password_file: peer.secret
peers: [{ id: 1, name: node1, host: 127.0.0.1, port: 7482, data_host: db1.example.com, data_port: 7432 }]
`;

test("node.yaml names them by paths of its own; a bad one is a bad configuration", async () => {
  await file("peer.secret", "0123456789abcdef0123\n");
  const good = "tls: { ca: node1.ca, cert: node1.crt, key: node1.key }\n";
  const config = await loadConfig(await file("node.yaml", YAML + good), {});
  expect(config.tls).toEqual({ ...paths, mode: "only" });
  const bad = "tls: { ca: node1.ca, cert: node1.crt, key: none, mode: require }\n";
  await expect(loadConfig(await file("bad.yaml", YAML + bad), {})).rejects.toThrow(
    "tls.mode: require: expected offer, use or only",
  );
  const own = good + YAML.replace("port: 7432 }", "port: 7432, settings: { ssl_key_file: x } }");
  await expect(loadConfig(await file("own.yaml", own), {})).rejects.toThrow(
    "data.settings.ssl_key_file: reserved: expected no such setting: pg_replica sets it itself",
  );
  await expect(
    loadConfig(await file("node.yaml", YAML + good), { PG_REPLICA_TLS_KEY: "none" }),
  ).rejects.toThrow(
    `tls.key: ${join(dir, "none")}: expected a readable file: there is none (in environment, PG_REPLICA_TLS_KEY)`,
  );
});
