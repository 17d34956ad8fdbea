/** What the pgraft interface tells of node and cluster, on leader, follower and data server. */
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { install } from "../../../src/db/install.ts";
import { writeSettings } from "../../../src/postgres/settings.ts";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { errorOf } from "../../support/sql.ts";
import { elect, lead, live, openStore, type Store, see, threeMembers } from "./stores.ts";

let scratch: Scratch;
let leader: Store;
let follower: Store;
/** Of the follower's node. */
let dataDb: pg.Client;
const warnings: string[] = [];
const working: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  scratch = await openScratch("pgraft-status");
  leader = await openStore(scratch, 1);
  follower = await openStore(scratch, 2);
  const data = await scratch.start();
  dataDb = await data.connect();
  await install(dataDb, "data");
  await writeSettings(
    data.server.dataDir,
    {
      "pgreplica.control_socket": follower.server.host,
      "pgreplica.control_port": follower.server.port,
    },
    scratch.owner,
  );
  for (const db of [leader.db, follower.db, dataDb]) {
    db.on("notice", ({ message }) => warnings.push(String(message)));
  }
}, 90_000);
beforeEach(async () => {
  await threeMembers([leader, follower]);
  await elect([leader, follower], 1);
  const figures = { term: 8, commit: 4, last: 5, messages: 1, heartbeats: 2, elections: 3 };
  const away = { raft: figures, age_ms: 130_000 };
  for (const { db } of [leader, follower]) {
    for (const id of [1, 2]) await see(db, id, { raft: figures, age_ms: -60_000 });
    await see(db, 3, away);
    await db.query("truncate raft.log");
    await db.query(
      `insert into raft.log select n, 8, 'noop', '00000000-0000-0000-0000-000000000001', n, '{"node_id": 1}', ''
         from generate_series(1, 6) as n`,
    );
    await db.query(
      "update raft.hard_state set last_index = 6, last_term = 8, commit_index = 6, applied_index = 5",
    );
    await db.query(`update raft.log set kind = 'entry', body = '{"data": ["five"], "request_id": "id",
      "at": "2026-01-01T11:00:00Z", "asked": 2}' where index in (5, 6)`);
    await db.query(
      "insert into cluster.entry values (5, 1, 8, 'five', 'id', 2, '2026-01-01 11:00Z')",
    );
    await db.query(
      "insert into cluster.proposal values ('00000000-0000-0000-0000-000000000001', 5, 5, 'ok')",
    );
    await rehash(db);
  }
  const peers = [
    { node_id: 2, match: "6", next: "7", state: "replicate", age_ms: 10 },
    { node_id: 3, match: "2", next: "3", state: "snapshot", age_ms: 130_000 },
  ];
  await live(leader, { peers });
  await live(follower);
});
afterEach(async () => {
  warnings.length = 0;
  for (const worker of working.splice(0)) await worker.stop();
});
afterAll(() => scratch.close());

/** Chain the hashes as raft.append_entries does. */
async function rehash(db: pg.Client): Promise<void> {
  await db.query(`do $$
    declare v_one raft.log; v_hash bytea := '';
    begin
      for v_one in select * from raft.log order by index loop
        v_hash := raft.entry_hash(v_hash, v_one.index, v_one.term, v_one.kind, v_one.client, v_one.sequence,
                                  v_one.body);
        update raft.log set hash = v_hash where index = v_one.index;
      end loop;
    end $$`);
}

async function value(db: pg.Client, call: string, values: unknown[] = []) {
  return (await db.query(`select ${call} as v`, values)).rows[0].v;
}
async function all(db: pg.Client, call: string) {
  return (await db.query(`select * from ${call}`)).rows;
}

describe.each(["leader", "follower", "data server"])("on the %s", (where) => {
  const db = () => (where === "leader" ? leader.db : where === "follower" ? follower.db : dataDb);
  const self = where === "leader" ? 1 : 2;

  test("the membership, as view, function and JSON", async () => {
    const rows = await all(db(), "pgraft_get_nodes");
    expect(rows).toEqual(
      [1, 2, 3].map((id) => ({
        node_id: id,
        address: id === 1 ? leader.server.host : id === 2 ? follower.server.host : "/nowhere",
        port: 5432,
        is_leader: id === 1,
        name: `node${id}`,
        is_voter: true,
        is_self: id === self,
        reachable: id !== 3,
      })),
    );
    expect(await all(db(), "pgraft_get_nodes()")).toEqual(rows);
    expect(JSON.parse(await value(db(), "pgraft_get_nodes_from_raft()"))[2]).toEqual({
      id: 3,
      name: "node3",
      address: "/nowhere:5432",
      active: false,
    });
  });

  test("the status of each member: exact, as last heard, or unknown", async () => {
    const rows = await all(db(), "pgraft_get_cluster_status()");
    const term = await value(db(), "pgraft_get_term()");
    expect(rows.map(({ node_id, state, is_self }) => [node_id, state, is_self])).toEqual([
      [1, "Leader", self === 1],
      [2, "Follower", self === 2],
      [3, "Unknown", false],
    ]);
    expect(rows.find(({ is_self }) => is_self)).toMatchObject({
      term,
      commit_index: "6",
      last_log_index: "6",
      leader_id: "1",
      num_nodes: 3,
      messages_processed: "5",
      heartbeats_sent: "7",
      elections_triggered: "1",
    });
    expect(rows[2]).toMatchObject({ term: "8", commit_index: "4", last_log_index: "5" });
    for (const row of rows) {
      expect(row.last_heartbeat).toMatch(/^\d+\.\d{3}s$/);
      expect(row.last_heartbeat).toBe(`${(row.last_heartbeat_ms / 1000).toFixed(3)}s`);
    }
    expect(rows[2].last_heartbeat_ms).toBeGreaterThan(129_000);
    expect(rows[0].last_heartbeat_ms).toBeLessThan(60_000);
  });

  test("the log in figures, and its entries", async () => {
    expect(await all(db(), "pgraft_log_get_stats()")).toMatchObject([
      {
        last_index: "6",
        commit_index: "6",
        last_applied: "5",
        first_index: "1",
        snapshot_index: "0",
        entry_count: "6",
        last_term: "8",
        errors: "0",
      },
    ]);
    expect(await value(db(), "pgraft_get_applied_index()")).toBe("5");
    const entries = await all(db(), "pgraft_log_get_entries(4)");
    expect(entries.map(({ index, kind, data, applied }) => [index, kind, data, applied])).toEqual([
      ["4", "noop", '{"node_id": 1}', true],
      ["5", "user", "five", true],
      ["6", "user", "five", false],
    ]);
    expect(entries[1]).toMatchObject({ term: "8", request_id: "id", proposed_by: 2 });
    expect(await all(db(), "pgraft_log_get_entries(1, 3, 2)")).toHaveLength(2);
    expect(await value(db(), "pgraft_log_get_entry(6)")).toBe("five");
    expect(await value(db(), "pgraft_log_get_entry(4)")).toBeNull();
  });

  test("how far the others' logs match: on the leader alone", async () => {
    const rows = await all(db(), "pgraft_log_get_replication_status()");
    if (where !== "leader") expect(rows).toEqual([]);
    else {
      expect(rows).toMatchObject([
        { node_id: 2, match_index: "6", next_index: "7", is_replicating: true, lag_entries: "0" },
        {
          node_id: 3,
          match_index: "2",
          state: "snapshot",
          is_replicating: false,
          lag_entries: "4",
        },
      ]);
    }
  });

  test("what was asked for here", async () => {
    const rows = await all(db(), "pgraft_get_queue_status()");
    if (where === "leader") expect(rows).toEqual([]);
    else {
      expect(rows).toMatchObject([
        { cmd_position: 1, command_type: 4, log_data: "five", status: "committed", log_index: "5" },
        { cmd_position: 2, command_type: 4, status: "pending", error: null, log_index: "6" },
      ]);
    }
  });

  test("the self-test finds nothing, or says what it found", async () => {
    // A scratch server is as fast as it is careless.
    const careless = ["fsync"];
    const findings = careless.map((name) => `pgraft: setting ${name} is off`);
    expect(await value(db(), "pgraft_test()")).toBe(false);
    expect(warnings.splice(0).sort()).toEqual(findings);
    for (const store of [leader, follower]) {
      await store.db.query("update raft.log set body = '{}' where index = 3");
      await store.db.query("delete from node.worker");
    }
    expect(await value(db(), "pgraft_test()")).toBe(false);
    expect(warnings.filter((one) => !findings.includes(one))).toEqual([
      "pgraft: entry 3 does not match its checksum",
      "pgraft: the worker is stopped",
    ]);
  });

  test("the worker's state, its debug mode, and the version", async () => {
    const store = where === "leader" ? leader : follower;
    expect(await value(db(), "pgraft_get_worker_state()")).toBe("running");
    expect(await value(db(), "pgraft_get_version()")).toBe("1.0.0");
    const careless = await errorOf(db().query("select pgraft_init()"));
    expect(careless).toMatchObject({ code: "RF013" });
    expect(careless.message).toContain("fsync");
    expect(await value(db(), "pgraft_set_debug(true)")).toBe(true);
    const { rows } = await store.db.query("select debug from node.worker");
    expect(rows).toEqual([{ debug: true }]);
    expect((await errorOf(db().query("select pgraft_set_debug(null)"))).code).toBe("22004");
    await store.db.query("update raft.hard_state set alarm = 'broken'");
    expect(await value(db(), "pgraft_get_worker_state()")).toBe("error");
    await store.db.query("update raft.hard_state set alarm = null");
    await store.db.query("delete from cluster.member where node_id = $1", [store.id]);
    expect(await value(db(), "pgraft_get_worker_state()")).toBe("initializing");
    await live(store, {}, 61_000);
    expect(await value(db(), "pgraft_get_worker_state()")).toBe("stopped");
  });

  test("waiting for an entry forces nothing, and ends", async () => {
    expect(await value(db(), "pgraft_log_commit(6)")).toBe(true);
    expect(await value(db(), "pgraft_log_apply(5)")).toBe(true);
    await db().query("set pgraft.request_timeout = 300");
    const error = await errorOf(db().query("select pgraft_log_apply(6)"));
    expect(error).toMatchObject({
      code: "RF007",
      message: "pgraft: entry 6 is not applied after 300 ms",
    });
    await db().query("set pgraft.request_timeout = '99'");
    const refused = await errorOf(db().query("select pgraft_log_apply(6)"));
    expect(refused).toMatchObject({ code: "22023", message: "pgraft.request_timeout is 99" });
    await db().query("reset pgraft.request_timeout");
  });

  test.each([
    ["add_node(0, 'h', 7001)", "pgraft: invalid node_id 0, must be between 1 and 1000"],
    ["add_node(4, ' ', 7001)", "pgraft: address cannot be empty"],
    ["add_node(4, 'h', 80)", "pgraft: invalid port 80, must be between 1024 and 65535"],
  ])("%s is refused in the documented words", async (call, message) => {
    await db().query("set pgraft.forward_writes = on");
    const error = await errorOf(db().query(`select pgraft_${call}`));
    expect(error).toMatchObject({ code: "22023", message });
    await db().query("reset pgraft.forward_writes");
  });

  test("membership errors name the node", async () => {
    await db().query("set pgraft.forward_writes = on");
    const codes = async (call: string) => {
      const { code, message } = await errorOf(db().query(`select pgraft_${call}`));
      return `${code} ${message}`;
    };
    expect(await codes("remove_node(9)")).toBe("RF006 pgraft: node 9 not found");
    expect(await codes("transfer_leadership(9)")).toMatch(/^RF006 pgraft: node 9 not found/);
    expect(await codes("add_node(3, 'elsewhere', 7003)")).toMatch(
      /^RF008 pgraft: node 3 is a member/,
    );
    expect(await codes("add_node(4, '/nowhere', 7004)")).toBe(
      "RF006 pgraft: node 4 at /nowhere:7004 does not answer",
    );
    expect(await value(db(), "pgraft_add_node(2, $1, 5432)", [follower.server.host])).toBe(true);
    await db().query("reset pgraft.forward_writes");
  });
});

test("a leader that no majority has confirmed for an election timeout is none", async () => {
  await live(leader, { round_ms: 10 });
  expect(await value(leader.db, "pgraft_is_leader()")).toBe(true);
  await live(leader, { round_ms: 59_000 }, 1001);
  expect(await value(leader.db, "pgraft_is_leader()")).toBe(false);
  expect(await value(leader.db, "pgraft_get_leader()")).toBe("0");
  await live(follower, { quiet_ms: 0 }, 120_001);
  expect(await value(follower.db, "pgraft_get_leader()")).toBe("0");
});

test("a node that is made and not yet known anywhere: false, 0, null or no rows", async () => {
  for (const table of ["cluster.member", "node.worker", "raft.log", "node.observed"]) {
    await leader.db.query(`delete from ${table}`);
  }
  await leader.db.query("truncate raft.hard_state; insert into raft.hard_state default values");
  const { db } = leader;
  expect(await value(db, "pgraft_is_leader()")).toBe(false);
  expect(await value(db, "pgraft_get_leader()")).toBe("0");
  expect(await value(db, "pgraft_get_term()")).toBe("0");
  expect(await value(db, "pgraft_get_worker_state()")).toBe("stopped");
  expect(await value(db, "pgraft_get_nodes_from_raft()")).toBe("[]");
  for (const call of [
    "get_nodes()",
    "get_cluster_status()",
    "get_queue_status()",
    "log_get_entries(1)",
  ]) {
    expect(await all(db, `pgraft_${call}`)).toEqual([]);
  }
  expect(await all(db, "pgraft_log_get_stats()")).toHaveLength(1);
});

test("leadership is handed on by asking the other to campaign, in this term", async () => {
  working.push(lead(leader, [leader, follower]));
  await follower.db.query("truncate raft.transfer");
  await leader.db.query("set pgraft.request_timeout = 400");
  const error = await errorOf(leader.db.query("select pgraft_transfer_leadership(2)"));
  // Nobody campaigns by hand: asked it was.
  expect(error).toMatchObject({ code: "RF007", detail: "Current leader: 1." });
  const { rows } = await follower.db.query("select term from raft.transfer");
  expect(rows).toEqual([{ term: await value(leader.db, "pgraft_get_term()") }]);
  await leader.db.query("reset pgraft.request_timeout");
});
