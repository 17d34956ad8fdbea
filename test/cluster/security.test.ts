/** Who is refused, what listens, and where no secret stands: looked at from outside, on a cluster in TLS. */
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { readIdentity } from "../../src/config/identity.ts";
import { loadConfig } from "../../src/config/load.ts";
import { nodePassword } from "../../src/config/secrets.ts";
import { libpqTls, type TlsFiles } from "../../src/config/tls.ts";
import { connect } from "../../src/db/connect.ts";
import { appendEntries, hello, type Sender } from "../../src/db/peer.ts";
import { connect as connectReplication } from "../../src/replication/connection.ts";
import { planTls } from "../../src/replication/tls.ts";
import { createAuthority, issueInto } from "../support/certificates.ts";
import { processesBelow } from "../support/cluster.ts";
import { untilHealthy, untilNewPrimary } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { psql, run } from "../support/programs.ts";
import { listening } from "../support/sockets.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 90_000 });

const authority = createAuthority("ours");
const members = useMembers(3, { authority });
/** Of node 2: what it logs in with, and how it speaks. */
let password: string;
let me: Sender;
let own: Required<TlsFiles>;

beforeAll(async () => {
  const config = await loadConfig(members.all.configOf(2), {});
  const identity = await readIdentity(config.dir);
  password = nodePassword(config, 2);
  me = { clusterId: config.clusterId, nodeId: 2, incarnation: identity?.incarnation ?? "" };
  const { ca, cert, key } = config.tls as Required<TlsFiles>;
  own = { ca, cert, key };
});

interface Login {
  readonly user?: string;
  readonly password?: string;
  readonly tls?: TlsFiles | undefined;
  readonly host?: string;
}

const asNode2 = () => ({ user: "pgreplica_node_2", password, tls: own, host: "127.0.0.1" });

/** How a login at this port ends: `in`, or what was said. */
async function login(port: number, changed: Login = {}): Promise<string> {
  const options = { port, applicationName: "test", connectLimitMs: 5000 };
  try {
    const client = await connect({ ...asNode2(), ...changed, ...options });
    await client.query("select 1");
    await client.end();
    return "in";
  } catch (error) {
    return (error as Error).message;
  }
}

/** The same for a WAL stream. */
async function stream(port: number, changed: Login = {}): Promise<string> {
  const { tls: files, ...rest } = { ...asNode2(), ...changed };
  try {
    const tls = files && (await planTls({ ...files, mode: "verify-full" }, rest.host));
    const options = { ...rest, port, tls, replication: "physical", clock: monotonicClock } as const;
    const connection = await connectReplication(options);
    await connection.close();
    return "in";
  } catch (error) {
    return (error as Error).message;
  }
}

/** The same by libpq, which dblink, a standby's receiver and pg_rewind go by, told as they are told. */
async function byLibpq(changed: Login = {}): Promise<string> {
  const { tls, password: secret, host, user } = { ...asNode2(), ...changed };
  const { port } = members.all.node(1).control;
  const words = { host, port, user, dbname: "postgres", ...libpqTls(tls) };
  const uri = Object.entries(words).map(([word, value]) => `${word}='${value}'`);
  const env = { PGPASSWORD: secret };
  const { exitCode, stderr } = await psql(uri.join(" "), "select 1", { env });
  return exitCode === 0 ? "in" : stderr;
}

/** The control store of node 1, and its data server in both ways. */
async function everywhere(changed: Login): Promise<string[]> {
  const { control, data } = members.all.node(1);
  return [
    await login(control.port, changed),
    await login(data.port, changed),
    await stream(data.port, changed),
  ];
}

async function issued(name: string, by: typeof authority, commonName: string) {
  const dir = join(members.all.top, "others");
  await mkdir(dir, { recursive: true });
  const paths = await issueInto(dir, name, by, { commonName, hosts: ["127.0.0.1"] });
  return { ...paths, ca: own.ca };
}

describe("a member is let in by its certificate and its password together; nobody by one of them", () => {
  test("both", async () => {
    expect(await everywhere({})).toEqual(["in", "in", "in"]);
    expect(await byLibpq()).toBe("in");
  });

  test("a password, but plain text", async () => {
    for (const said of await everywhere({ tls: undefined })) {
      expect(said).toMatch(/pg_hba\.conf rejects .* user "pgreplica_node_2", .*no encryption/);
    }
  });

  test("a password, but no certificate", async () => {
    for (const said of await everywhere({ tls: { ca: own.ca } })) {
      expect(said).toBe("connection requires a valid client certificate");
    }
  });

  test("a certificate of that name, but from another authority", async () => {
    const tls = await issued("stranger", createAuthority("ours"), "pgreplica_node_2");
    for (const said of await everywhere({ tls })) expect(said).toMatch(/unknown ca|ECONNRESET/i);
  });

  test("a certificate of another member", async () => {
    const tls = await issued("third", authority, "pgreplica_node_3");
    for (const said of await everywhere({ tls })) {
      expect(said).toMatch(/authentication failed for user "pgreplica_node_2"/);
    }
  });

  test("a certificate, but the password of a cluster with another secret", async () => {
    for (const said of await everywhere({ password: "f".repeat(64) })) {
      expect(said).toBe('password authentication failed for user "pgreplica_node_2"');
    }
  });
});

describe("a server is believed by its authority and its host's name", () => {
  test("another authority", async () => {
    const ca = join(members.all.top, "others.ca");
    await issueInto(members.all.top, "others", createAuthority("ours"), {
      commonName: "x",
      hosts: [],
    });
    for (const said of await everywhere({ tls: { ...own, ca } })) {
      expect(said).toMatch(/unable to verify the first certificate|signature|self-signed/);
    }
    expect(await byLibpq({ tls: { ...own, ca } })).toMatch(/certificate verify failed/);
  });

  test("a name that its certificate does not hold", async () => {
    for (const said of await everywhere({ host: "localhost" })) {
      expect(said).toMatch(/Hostname\/IP does not match certificate's altnames/);
    }
    const said = await byLibpq({ host: "localhost" });
    expect(said).toMatch(/server certificate for .* does not match host name "localhost"/);
  });
});

/** An append knows its sender by a query of its own. Of term 0, so that nothing comes of one that is heard. */
const CALLS = {
  hello: async (client: pg.Client, sender: Sender) =>
    `node ${(await hello(client, sender)).node_id}`,
  append: async (client: pg.Client, sender: Sender) =>
    (await appendEntries(client, sender, { ...NOWHERE, entries: [] })).reason,
};
const NOWHERE = { term: 0n, prevIndex: 0n, prevTerm: 0n, commit: 0n };

describe.each(["hello", "append"] as const)("%s: who is not what he says is refused", (call) => {
  async function answered(sender: Partial<Sender>): Promise<string> {
    const options = {
      port: members.all.node(1).control.port,
      applicationName: "test",
      connectLimitMs: 5000,
    };
    const client = await connect({ ...asNode2(), ...options });
    try {
      return await CALLS[call](client, { ...me, ...sender });
    } catch (error) {
      const { code, message } = ((error as Error).cause ?? error) as Error & { code: string };
      return `${code} ${message}`;
    } finally {
      await client.end();
    }
  }

  test("the member itself", async () => {
    expect(await answered({})).toBe({ hello: "node 1", append: "stale_term" }[call]);
  });

  test("another cluster", async () => {
    const said = await answered({ clusterId: "00000000-0000-4000-8000-000000000000" });
    expect(said).toBe("RF008 node 2 belongs to another cluster");
  });

  test("an incarnation that has ended", async () => {
    const ended = "00000000-0000-4000-8000-000000000000";
    for (const uri of members.all.controlUris()) {
      await rows(
        uri,
        `insert into cluster.former_incarnation values (2, '${ended}') on conflict do nothing`,
      );
    }
    const said = await answered({ incarnation: ended });
    expect(said).toBe("RF008 node 2 is not the incarnation this cluster knows");
  });

  test("no member", async () => {
    expect(await answered({ nodeId: 9 })).toMatch(/^RF008 node 9 is no member of cluster byhand/);
  });

  test("a member under another member's login", async () => {
    const third = await readIdentity(join(members.all.top, "node3"));
    const said = await answered({ nodeId: 3, incarnation: third?.incarnation ?? "" });
    expect(said).toBe("RF008 login pgreplica_node_2 may not speak for node 3");
  });
});

describe("whoever is in and nobody is refused", () => {
  test("an ordinary role, of monitors or none: nothing of peer, raft, cluster and node", async () => {
    const { uri } = members.all.node(1).control;
    await rows(uri, "create role watcher login password 'watcher' in role pgreplica_monitor");
    const client = await connect({
      ...asNode2(),
      user: "watcher",
      password: "watcher",
      port: members.all.node(1).control.port,
      applicationName: "test",
      connectLimitMs: 5000,
    });
    try {
      const call = `select peer.hello('${me.clusterId}', 2, '${me.incarnation}')`;
      for (const text of [call, "table raft.log", "table cluster.member", "table node.secret"]) {
        await expect(client.query(text)).rejects.toThrow(/^permission denied for schema /);
      }
      expect((await client.query("select * from pg_replica.status()")).rowCount).toBe(3);
    } finally {
      await client.end();
    }
  });
});

test("nothing listens beyond what the configuration names", () => {
  for (const id of [1, 2, 3]) {
    const { control, data } = members.all.node(id);
    const node = join(members.all.top, `node${id}`);
    expect(listening(processesBelow(node))).toEqual(
      [
        `127.0.0.1:${control.port}`,
        `127.0.0.1:${data.port}`,
        join(node, "run/control", `.s.PGSQL.${control.port}`),
        join(node, "run/data", `.s.PGSQL.${data.port}`),
      ].sort(),
    );
  }
});

test("after a failover no secret stands in a log, a command line, the log of Raft, or a setting", async () => {
  const { primary } = await untilHealthy(members.present(1, 2, 3));
  const pid = Number(
    (await readFile(join(members.all.node(primary).data.dir, "postmaster.pid"), "utf8")).split(
      "\n",
    )[0],
  );
  process.kill(pid, "SIGKILL");
  await untilNewPrimary(members.present(1, 2, 3), primary);
  await untilHealthy(members.present(1, 2, 3));
  const secrets = await allSecrets();
  expect(secrets.length).toBeGreaterThan(10);
  const found = (text: string) => secrets.filter((secret) => text.includes(secret));

  for (const { pid: one, command } of processesBelow(members.all.top)) {
    expect(found(command), command).toEqual([]);
    const environment = await readFile(`/proc/${one}/environ`, "utf8").catch(() => "");
    expect(found(environment), `environment of ${command}`).toEqual([]);
  }
  const settings = "select string_agg(name || '=' || setting, ' ') from pg_settings";
  const tables = `
    select jsonb_build_array(
      (select jsonb_agg(to_jsonb(l)) from raft.log as l), (select jsonb_agg(to_jsonb(e)) from cluster.event as e),
      (select jsonb_agg(to_jsonb(p)) from cluster.proposal as p),
      (select jsonb_agg(to_jsonb(o)) from node.observed as o))::text`;
  for (const id of [1, 2, 3]) {
    const { control, data } = members.all.node(id);
    expect(found(`${await value(control.uri, settings)}`)).toEqual([]);
    expect(found(`${await value(data.uri, settings)}`)).toEqual([]);
    expect(found(`${await value(control.uri, tables)}`)).toEqual([]);
  }
  // Of all files only those hold one that must, and they are nobody else's to read.
  const holders = await filesWith(secrets);
  const may = [1, 2, 3].flatMap((id) =>
    ["node.key", "tls/node.pem", "run/data/passfile"].map((name) => `node${id}/${name}`),
  );
  expect(holders.sort()).toEqual([...may, "peer.password", "superuser.password"].sort());
  for (const name of holders) {
    expect((await stat(join(members.all.top, name))).mode & 0o077, name).toBe(0);
  }
});

/** Passwords, what they are stored as, and keys. */
async function allSecrets(): Promise<string[]> {
  const stored = "select rolpassword as text from pg_authid where rolpassword is not null";
  const secrets = [];
  for (const id of [1, 2, 3]) {
    const config = await loadConfig(members.all.configOf(id), {});
    const key = await readFile(join(members.all.top, `node${id}`, "node.key"), "utf8");
    secrets.push(config.peerSecret, config.superuserPassword ?? "", nodePassword(config, id));
    secrets.push(key.split("\n")[1] ?? "");
    for (const { control, data } of [members.all.node(id)]) {
      for (const { uri } of [control, data]) {
        secrets.push(...(await rows<{ text: string }>(uri, stored)).map(({ text }) => text));
      }
    }
  }
  return [...new Set(secrets)];
}

/** Of the nodes' folders, without the tables, where verifiers must stand. */
async function filesWith(secrets: readonly string[]): Promise<string[]> {
  const patterns = secrets.flatMap((secret) => ["-e", secret]);
  const outside = ["base", "global", "pg_wal"].map((name) => `--exclude-dir=${name}`);
  const { exitCode, stdout } = await run("grep", [
    "-rlFa",
    ...outside,
    ...patterns,
    members.all.top,
  ]);
  expect(exitCode).toBe(0);
  return stdout
    .trim()
    .split("\n")
    .map((path) => path.slice(members.all.top.length + 1));
}

test("a removed node logs in nowhere any more, and what it had open is ended", async () => {
  const { primary } = await untilHealthy(members.present(1, 2, 3));
  const removed = primary === 2 ? 3 : 2;
  const [by = 0] = [1, 2, 3].filter((id) => id !== removed && id !== primary);
  const config = await loadConfig(members.all.configOf(removed), {});
  const as = {
    user: `pgreplica_node_${removed}`,
    password: nodePassword(config, removed),
    tls: config.tls,
  };
  const { control, data } = members.all.node(primary);
  expect(await login(data.port, as)).toBe("in");
  const gone = "select pg_replica.remove_node($1::integer)";
  expect(await value(members.all.node(by).control.uri, gone, [removed], { answerMs: 65_000 })).toBe(
    "true",
  );
  await until("it logs in nowhere", { limitMs: 15_000 }, async () => {
    const said = [
      await login(control.port, as),
      await login(data.port, as),
      await stream(data.port, as),
    ];
    return said.every((one) => /authentication failed|is not permitted to log in/.test(one));
  });
  const sessions = `select count(*)::integer from pg_stat_activity where usename = '${as.user}'`;
  expect(await value(control.uri, sessions)).toBe("0");
  expect(await value(data.uri, sessions)).toBe("0");
});
