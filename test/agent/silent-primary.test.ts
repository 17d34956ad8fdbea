/** A standby that joins is not condemned for what its primary, or the way there, failed to do. */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { stopServer } from "../../src/agent/servers.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import { connect } from "../../src/db/connect.ts";
import { exists } from "../../src/postgres/files.ts";
import { type Between, openRelay, type Relay } from "../support/relay.ts";
import { type Bench, openPair, orderFor, sql, untilStreaming, within } from "./harness.ts";

let bench: Bench;
let relay: Relay;
/** What becomes of a connection of node 2 to its primary. */
let between: (...sockets: Parameters<Parameters<typeof openRelay>[1]>) => Between = () => ({});

beforeAll(async () => {
  bench = await openPair();
  const [first, second] = [bench.node(1), bench.node(2)];
  const to = { host: "127.0.0.1", port: first.port };
  relay = await openRelay(to, (client, server) => between(client, server));
  const members = second.kept.view.members.map((member) =>
    member.node_id === 1 ? { ...member, data_port: relay.port } : member,
  );
  second.kept.view = { ...second.kept.view, members };
}, 60_000);
afterAll(async () => {
  await bench?.stop();
  await relay?.close();
}, 60_000);

/** Node 2 starts again, without addresses, and lacks what its primary has written meanwhile. */
async function restartBehind(): Promise<void> {
  const [first, second] = [bench.node(1), bench.node(2)];
  await stopServer(second.agent);
  await sql(first, "insert into t select generate_series(1, 1000)");
  await ACTS.start(second.agent, orderFor(second));
}

async function untouched(): Promise<void> {
  const { agent } = bench.node(2);
  expect(await exists(agent.paths.marker)).toBe(false);
  expect(agent.state.rejoin).toBeUndefined();
  expect((await classify(agent)).kind).toBe("ours");
}

async function followed(): Promise<void> {
  const second = bench.node(2);
  between = () => ({});
  await ACTS.follow(second.agent, orderFor(second));
  await untilStreaming(second);
  await untouched();
}

/** As PostgreSQL's CopyBothResponse: a stream has begun. */
const BEGUN_BYTES = 8;

test("D1: data whose primary falls silent while they catch up are kept, and follow when it is back", async () => {
  const second = bench.node(2);
  await restartBehind();
  let silent = false;
  between = (client, server) => {
    if (silent) client.destroy();
    let [streams, barrier, passed] = [false, false, 0];
    client.on("close", () => {
      silent ||= barrier;
    });
    return {
      fromClient: (chunk) => {
        streams ||= chunk.includes("START_REPLICATION");
        barrier ||= chunk.includes("pg_logical_emit_message");
        server.write(chunk);
      },
      // It is seen to stream, and gets nothing.
      fromServer: (chunk) => {
        if (!streams) return void client.write(chunk);
        client.write(chunk.subarray(0, BEGUN_BYTES - passed));
        passed = Math.min(BEGUN_BYTES, passed + chunk.length);
      },
    };
  };
  const following = ACTS.follow(second.agent, orderFor(second));
  await expect(following).rejects.toThrow(/stands still .* the primary did not always answer/);
  expect(silent).toBe(true);
  await untouched();
  await followed();
}, 90_000);

test("D1: so are data whose primary was silent for a part of the time in which they were to stream", async () => {
  const second = bench.node(2);
  await restartBehind();
  let asked = 0;
  between = (client, server) => ({
    fromClient: (chunk) => {
      if (chunk.includes("pgreplica_agent\0")) asked += 1;
      if (asked === 1 || chunk.includes("replication\0")) client.destroy();
      else server.write(chunk);
    },
  });
  const following = ACTS.follow(second.agent, orderFor(second));
  await expect(following).rejects.toThrow(/did not stream .* the primary did not always answer/);
  expect(asked).toBeGreaterThan(2);
  await untouched();
  await followed();
}, 90_000);

/** Of a reader on the standby: what it reads cannot be truncated there. */
async function readerOnStandby(): Promise<pg.Client> {
  const { agent, port } = bench.node(2);
  const address = { host: agent.paths.socketDir, port, user: "postgres" };
  const client = await connect({ ...address, applicationName: "reader", connectLimitMs: 3000 });
  await client.query("begin");
  await client.query("select 1 from t limit 1");
  return client;
}

test("D1: so are data on which one record takes its time to be replayed", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await restartBehind();
  await sql(first, "truncate t");
  const reader = await readerOnStandby();
  const following = ACTS.follow(second.agent, orderFor(second));
  await expect(following).rejects.toThrow(/stands still .* at work on the record that follows/);
  await untouched();
  await reader.end();
  await followed();
  expect(await sql(second, "select n from t")).toEqual([]);
}, 90_000);

test("a fresh copy that cannot stream is kept, with the server's own reason: another would not stream either", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await ACTS.clone(second.agent, orderFor(second));
  await waitUntil("the copy's own slot has gone with its session", within(10_000), async () => {
    return (await sql(first, "select from pg_replication_slots where temporary")).length === 0;
  });
  await sql(first, "select pg_drop_replication_slot('pgreplica_2')");
  await sql(
    first,
    `select pg_create_physical_replication_slot('other_' || n)
       from generate_series(1, current_setting('max_replication_slots')::int
                               - (select count(*) from pg_replication_slots)) as n`,
  );
  const joining = ACTS.join(second.agent, orderFor(second));
  await expect(joining).rejects.toThrow(/replication slot "pgreplica_2" does not exist/);
  expect(await exists(second.agent.paths.marker)).toBe(false);
  expect((await classify(second.agent)).kind).toBe("joining");
  await sql(
    first,
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'other%'",
  );
  await sql(first, "select pg_create_physical_replication_slot('pgreplica_2', true)");
  await ACTS.join(second.agent, orderFor(second));
  await untilStreaming(second);
  await untouched();
}, 90_000);
