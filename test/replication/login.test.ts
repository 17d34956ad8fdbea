import { createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connect } from "../../src/replication/connection.ts";
import {
  ConnectionLost,
  LoginError,
  ProtocolError,
  ServerError,
} from "../../src/replication/errors.ts";
import { planTls } from "../../src/replication/tls.ts";
import { findProgram } from "../support/programs.ts";
import { skip } from "../support/skip.ts";
import {
  clock,
  flavours,
  type Lab,
  type LabServer,
  once,
  openLab,
  rowsOf,
  serveTls,
} from "./lab.ts";

const HBA = [
  "local all postgres trust",
  "host all trusted 127.0.0.1/32 trust",
  "host all hashed 127.0.0.1/32 md5",
  "host all clear 127.0.0.1/32 password",
  "hostssl all over_tls 127.0.0.1/32 scram-sha-256",
  "host all,replication +scram 127.0.0.1/32 scram-sha-256",
].join("\n");

/** With letters that SASLprep changes, and one it may not. */
const PASSWORD = "pa\u00a0ss\u00adw\u00f6rd \u2168 'x'";

const anyTls = () => planTls({ mode: "require" }, "127.0.0.1");

describe.each(await flavours())("$name", ({ binDir }) => {
  let lab: Lab;
  let server: LabServer;
  beforeAll(async () => {
    lab = await openLab(binDir);
    server = await lab.primary("primary", {}, `${HBA}\n`);
    const quoted = PASSWORD.replaceAll("'", "''");
    await server.sql(`
      create role scram;
      create role trusted login;
      create role clear login password 'secret';
      create role over_tls login password 'secret' in role scram;
      create role bob login replication password '${quoted}' in role scram;
      create role carol login in role scram;
      set password_encryption = 'md5';
      create role hashed login password 'secret';`);
  });
  afterAll(() => lab.close());

  const as = (user: string, password?: string) => ({
    host: server.host,
    port: server.port,
    user,
    password,
    clock,
  });
  const whoAmI = (options: Parameters<typeof connect>[0]) =>
    once(options, (connection) => rowsOf(connection, "select session_user"));

  test("trust needs no password", async () => {
    expect(await whoAmI(as("trusted"))).toEqual([["trusted"]]);
  });

  test("md5 lets the right password in, and only that", async () => {
    expect(await whoAmI(as("hashed", "secret"))).toEqual([["hashed"]]);
    await expect(connect(as("hashed", "Secret"))).rejects.toMatchObject({ code: "28P01" });
  });

  test("SCRAM lets the right password in, whatever its letters", async () => {
    expect(await whoAmI(as("bob", PASSWORD))).toEqual([["bob"]]);
  });

  test("SCRAM refuses a wrong password in the server's own words", async () => {
    const refused = connect(as("bob", `${PASSWORD}!`));
    await expect(refused).rejects.toThrow(ServerError);
    await expect(refused).rejects.toMatchObject({
      code: "28P01",
      severity: "FATAL",
      message: 'password authentication failed for user "bob"',
      endsSession: true,
    });
  });

  test("a role that has no password at all is told the same", async () => {
    await expect(connect(as("carol", "x"))).rejects.toMatchObject({ code: "28P01" });
  });

  test("without a password we do not even begin", async () => {
    await expect(connect(as("bob"))).rejects.toThrow(LoginError);
    await expect(connect(as("bob"))).rejects.toThrow(/wants a password .* for bob: none given/);
  });

  test("a password is never sent in clear text", async () => {
    await expect(connect(as("clear", "secret"))).rejects.toThrow(/in clear text: refused/);
  });

  test("a replication session logs in as well, a role without the right does not", async () => {
    const session = await connect({ ...as("bob", PASSWORD), replication: "physical" });
    expect(await rowsOf(session, "SHOW wal_segment_size")).toEqual([["16MB"]]);
    await session.close();
    const refused = connect({ ...as("carol", "x"), replication: "physical" });
    await expect(refused).rejects.toBeInstanceOf(ServerError);
  });

  test("nobody in pg_hba.conf: the server says why", async () => {
    const refused = connect(as("nobody"));
    await expect(refused).rejects.toMatchObject({ code: "28000", severity: "FATAL" });
  });

  test("a server without TLS is not talked to in the clear when TLS was asked for", async () => {
    const refused = connect({ ...as("trusted"), tls: await anyTls() });
    await expect(refused).rejects.toThrow(/does not offer TLS/);
  });

  test("TLS, and SCRAM within it", async (context) => {
    if (findProgram("openssl") === undefined) return skip(context, "openssl is not installed");
    const ca = await serveTls(lab, server);
    const secure = await untilTls({
      ...as("over_tls", "secret"),
      tls: await planTls({ mode: "verify-full", ca }, server.host),
    });
    const [row] = await rowsOf(secure, "select ssl from pg_stat_ssl where pid = pg_backend_pid()");
    expect(row).toEqual(["t"]);
    await secure.close();
    const stranger = await planTls({ mode: "verify-ca" }, server.host);
    await expect(connect({ ...as("over_tls", "secret"), tls: stranger })).rejects.toThrow(
      /self-signed/,
    );
  });
});

/** A reload is in force some time after it was asked for. */
async function untilTls(options: Parameters<typeof connect>[0]): Promise<Connection> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await connect(options);
    } catch (error) {
      if (attempt === 100) throw error;
      await clock.sleep(20);
    }
  }
}

describe("servers that are none", () => {
  const open: Socket[] = [];
  let server: Server | undefined;
  async function listen(onConnect: (socket: Socket) => void): Promise<number> {
    server = createServer((socket) => {
      open.push(socket.on("error", () => undefined));
      onConnect(socket);
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }
  const target = (port: number) => ({ host: "127.0.0.1", port, user: "x", clock });
  afterAll(() => {
    for (const socket of open) socket.destroy();
    server?.close();
  });

  test("nobody listens: refused at once, with the address", async () => {
    const port = await listen(() => undefined);
    await new Promise((resolve) => server?.close(resolve));
    const refused = connect(target(port));
    await expect(refused).rejects.toMatchObject({ name: "ConnectionLost", kind: "unreachable" });
    await expect(refused).rejects.toThrow(`cannot connect to 127.0.0.1:${port}`);
    const socket = connect({ ...target(port), host: "/nonexistent" });
    await expect(socket).rejects.toThrow(`/nonexistent/.s.PGSQL.${port}`);
  });

  test("silence is borne for as long as the caller said, and no longer", async () => {
    const port = await listen(() => undefined);
    const late = connect({ ...target(port), connectLimitMs: 100 });
    await expect(late).rejects.toMatchObject({ kind: "silent" });
    await expect(late).rejects.toThrow(/no login at 127.0.0.1:\d+ within 100 ms/);
    const tls = connect({ ...target(port), connectLimitMs: 100, tls: await anyTls() });
    await expect(tls).rejects.toMatchObject({ kind: "silent" });
  });

  test("an abort ends the wait with its own reason", async () => {
    const stop = new AbortController();
    const port = await listen(() => stop.abort(new Error("enough")));
    await expect(connect({ ...target(port), signal: stop.signal })).rejects.toThrow("enough");
    const before = connect({ ...target(port), signal: AbortSignal.abort(new Error("never")) });
    await expect(before).rejects.toThrow("never");
  });

  test("a web server is no PostgreSQL", async () => {
    const port = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await expect(connect(target(port))).rejects.toThrow(ProtocolError);
  });

  test("a login that skips the authentication is refused", async () => {
    const port = await listen((socket) => socket.write(Buffer.from([0x5a, 0, 0, 0, 5, 0x49])));
    await expect(connect(target(port))).rejects.toThrow(/skipped the authentication/);
  });

  test("more than one byte before the TLS handshake is refused", async () => {
    const port = await listen((socket) => socket.write("Sxyz"));
    await expect(connect({ ...target(port), tls: await anyTls() })).rejects.toThrow(ProtocolError);
  });

  test("a server that hangs up in the middle is lost, not silent", async () => {
    const port = await listen((socket) => socket.once("data", () => socket.destroy()));
    await expect(connect(target(port))).rejects.toThrow(ConnectionLost);
    await expect(connect(target(port))).rejects.toMatchObject({ kind: "closed" });
  });
});
