/** Derived passwords and SCRAM verifiers: PostgreSQL itself is asked whether they are right. */
import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { nodePassword, scramVerifier, verifies } from "../../src/config/secrets.ts";
import { type Binaries, findBinaries } from "../../src/postgres/binaries.ts";
import { makeDirectory, writeDurable } from "../../src/postgres/files.ts";
import { initdb } from "../../src/postgres/initdb.ts";
import { type Owner, serverOwner } from "../../src/postgres/owner.ts";
import { type Server, startServer, waitReady } from "../../src/postgres/server.ts";
import { freePorts } from "../support/ports.ts";

let root: string;
let port: number;
let server: Server;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pgr-scram-"));
  const owner = await serverOwner("postgres");
  await makeDirectory(root, { owner });
  const binaries = await findBinaries({ owner });
  [port = 0] = await freePorts(1);
  server = await start(binaries, owner);
}, 60_000);

afterAll(async () => {
  await server?.stop("immediate", 10_000);
  await rm(root, { recursive: true, force: true });
});

async function start(binaries: Binaries, owner: Owner | undefined): Promise<Server> {
  const dataDir = join(root, "data");
  await initdb(binaries, { dir: dataDir, owner });
  const hba = [
    "local all postgres trust",
    "host all postgres 127.0.0.1/32 trust",
    "host all all 127.0.0.1/32 scram-sha-256",
  ];
  await writeDurable(join(dataDir, "pg_hba.conf"), `${hba.join("\n")}\n`, { owner });
  const args = ["-c", `port=${port}`, "-c", "listen_addresses=127.0.0.1"];
  args.push("-c", `unix_socket_directories=${root}`);
  const logFile = join(root, "log");
  const started = await startServer({ binaries, dataDir, owner, logFile, args });
  await waitReady(started, { clock: monotonicClock, limitMs: 20_000 });
  return started;
}

async function whoAmI(user: string, password?: string): Promise<string> {
  const client = new pg.Client({ host: "127.0.0.1", port, user, password, database: "postgres" });
  await client.connect();
  const { rows } = await client.query("select current_user::text as name");
  await client.end();
  return rows[0].name;
}

async function createRole(name: string, verifier: string): Promise<void> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
  await client.connect();
  await client.query(`create role ${name} login password '${verifier}'`);
  const { rows } = await client.query("select rolpassword from pg_authid where rolname = $1", [
    name,
  ]);
  await client.end();
  // Stored as it is, not hashed again as if it were a password.
  expect(rows[0].rolpassword).toBe(verifier);
}

test("PostgreSQL stores the verifier as it is, and the password logs in", async () => {
  const password = nodePassword({ peerSecret: "0123456789abcdef", clusterId: "c" }, 2);
  await createRole("pgreplica_node_2", scramVerifier(password));
  expect(await whoAmI("pgreplica_node_2", password)).toBe("pgreplica_node_2");
  await expect(whoAmI("pgreplica_node_2", `${password}x`)).rejects.toMatchObject({ code: "28P01" });
});

test("a password with every printable character logs in", async () => {
  const password = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)).join("");
  await createRole("odd", scramVerifier(password));
  expect(await whoAmI("odd", password)).toBe("odd");
});

test("a verifier is known again by its password, and by no other", () => {
  const verifier = scramVerifier("pencil");
  expect(verifies(verifier, "pencil")).toBe(true);
  expect(verifies(verifier, "pencils")).toBe(false);
  expect(verifies(null, "pencil")).toBe(false);
  expect(verifies("md5f3b2c4", "pencil")).toBe(false);
});

test("a verifier is salted anew each time, and the same for the same salt", () => {
  const salt = Buffer.alloc(16, 7);
  expect(scramVerifier("pencil")).not.toBe(scramVerifier("pencil"));
  expect(scramVerifier("pencil", { salt })).toBe(scramVerifier("pencil", { salt }));
});

test("the server key signs as in RFC 7677's example exchange", () => {
  const salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
  const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const verifier = scramVerifier("pencil", { salt: Buffer.from(salt, "base64") });
  const [serverKey = ""] = verifier.split(":").slice(-1);
  const first = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=${salt},i=4096`;
  const signature = createHmac("sha256", Buffer.from(serverKey, "base64"))
    .update(`${first},c=biws,r=${nonce}`)
    .digest("base64");
  expect(signature).toBe("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

test("each node, cluster and secret has its own password", () => {
  const config = { peerSecret: "0123456789abcdef", clusterId: "c" };
  const passwords = [
    nodePassword(config, 1),
    nodePassword(config, 2),
    nodePassword({ ...config, clusterId: "d" }, 1),
    nodePassword({ ...config, peerSecret: "0123456789abcdeg" }, 1),
  ];
  expect(new Set(passwords).size).toBe(4);
  expect(passwords[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(nodePassword(config, 1)).toBe(passwords[0]);
});
