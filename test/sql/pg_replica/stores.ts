/** Control stores in states that tests describe, and a worker's share of the protocol done by hand. */
import type pg from "pg";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { connect } from "../../../src/db/connect.ts";
import { install } from "../../../src/db/install.ts";
import type { Scratch, ScratchServer } from "../../support/scratch.ts";

export const CLUSTER_ID = "00000000-0000-5000-8000-000000000001";
export const incarnation = (id: number) => `00000000-0000-4000-8000-00000000000${id}`;

export interface Store {
  readonly id: number;
  readonly server: ScratchServer;
  readonly db: pg.Client;
}

/** A control store that knows who it is, and how it logs in to its peers. */
export async function openStore(scratch: Scratch, id: number): Promise<Store> {
  const server = await scratch.start();
  const db = await server.connect();
  await install(db, "control");
  await db.query(
    `insert into node.identity (node_id, name, cluster_id, cluster_name, incarnation)
     values ($1, $2, $3, 'test', $4)`,
    [id, `node${id}`, CLUSTER_ID, incarnation(id)],
  );
  await db.query("insert into node.secret values ('peer_password', $1)", ["it's \\ secret"]);
  for (const peer of [1, 2, 3]) {
    await db.query(`create role pgreplica_node_${peer} login in role pgreplica_peer`);
  }
  return { id, server, db };
}

/** Three attached members under `ANY 1`, node 1 the primary of epoch 2; those of `reachable` are where they listen. */
export async function threeMembers(
  stores: readonly Store[],
  reachable: readonly Store[] = stores,
): Promise<void> {
  for (const { db } of stores) {
    await db.query(
      `truncate cluster.member, cluster.epoch, cluster.request, cluster.event, cluster.proposal, cluster.entry,
         cluster.kv, cluster.kv_total, node.observed, node.progress, node.worker, raft.inbox, raft.hard_state;
       insert into cluster.kv_total default values;
       insert into raft.hard_state (current_term) values (7);
       truncate cluster.setting;
       update cluster.state set entries_through = 0, proposals_through = 0,
         system_identifier = '7000000000000000001', formed = true, paused_why = null,
         rule_version = 1, rule_k = 1, rule_cohort = '{1,2,3}', next_k = null, next_cohort = null`,
    );
    for (const id of [1, 2, 3]) {
      const host = reachable.find((store) => store.id === id)?.server.host ?? "/nowhere";
      await db.query(
        `insert into cluster.member (node_id, name, incarnation, data_host, data_port, control_host, control_port,
           state, joined_at)
         values ($1, $2, $3, '127.0.0.1', $4, $5, 5432, 'attached', '2026-01-01 11:00Z')`,
        [id, `node${id}`, incarnation(id), 7431 + id, host],
      );
    }
    await db.query(
      `insert into cluster.epoch (epoch, state, cause, reason, term, opened_at, old_primary, node_id, timeline,
         from_lsn, from_epoch, switch_lsn, stamp_lsn, appointed_at, serving_at, write_gap_ms)
       values (1, 'superseded', 'founding', 'node 3 initialised the cluster', 1, '2026-01-01 11:00Z', null, 3, 2,
               null, 0, '0/1500000', '0/1500100', '2026-01-01 11:00Z', '2026-01-01 11:01Z', null),
              (2, 'serving', 'node_gone', 'node 3 and its data server are gone', 2, '2026-01-01 11:30Z', 3, 1, 3,
               '0/3000000', 1, '0/3000000', '0/3000100', '2026-01-01 11:30Z', '2026-01-01 11:30Z', 210)`,
    );
    for (const id of [1, 2, 3]) await see(db, id, {});
  }
}

/** What is seen of one member: healthy but for `change`. */
export async function see(
  db: pg.Client,
  id: number,
  change: Record<string, unknown>,
): Promise<void> {
  const primary = id === 1;
  const row = {
    node_id: id,
    beat: 1,
    role: primary ? "primary" : "standby",
    state: primary ? "running" : "streaming",
    epoch: 2,
    writable: primary,
    gate_open: primary,
    timeline: 3,
    wal_lsn: "0/4000000",
    replay_lsn: primary ? null : "0/4000000",
    attached: primary ? [2, 3] : [],
    gone: false,
    hung: false,
    lag_bytes: primary ? null : 0,
    lag_ms: primary ? null : 3,
    raft_role: "follower",
    age_ms: 200,
    ...change,
  };
  await db.query("delete from node.observed where node_id = $1", [id]);
  await db.query(
    `insert into node.observed
     select r.* from jsonb_populate_record(null::node.observed,
       $1::jsonb || jsonb_build_object('observed_at', raft.now() - make_interval(secs => $2::float8 / 1000))) as r`,
    [JSON.stringify(row), row.age_ms],
  );
}

/**
 * What a worker tells of itself: it leads with a majority, or hears the leader. Its election timeout is a minute, so
 * that no test outlives it.
 */
export async function live(
  { id, db }: Pick<Store, "id" | "db">,
  told: Record<string, unknown> = {},
  agoMs = 0,
): Promise<void> {
  const counts = { messages: 5, heartbeats: 7, elections: 1 };
  const round = id === 1 ? { round_ms: 40 } : {};
  await db.query(
    `select node.worker_lives('00000000-0000-4000-8000-0000000000aa', 20000, 60000, $1)`,
    [JSON.stringify({ ...counts, quiet_ms: 30, ...round, peers: [], ...told })],
  );
  await db.query("update node.worker set beat_at = beat_at - make_interval(secs => $1)", [
    agoMs / 1000,
  ]);
}

/** Let the stores believe that `leader` won a new term; null: nobody has yet. */
export async function elect(stores: readonly Store[], leader: number | null): Promise<void> {
  for (const { db } of stores) {
    await db.query(
      "update raft.hard_state set current_term = current_term + 1, leader_id = $1, voted_for = null",
      [leader],
    );
  }
}

export interface Entry {
  readonly kind: string;
  readonly body: Record<string, unknown>;
}

/**
 * What a leading worker does with proposals: take them, append them, and let every store apply them; and with those who
 * want to read. `then` says which entries follow one, as the coordinator would. Runs until stopped.
 */
export function lead(
  leader: Store,
  stores: readonly Store[],
  then: (entry: Entry, db: pg.Client) => Promise<readonly Entry[]> = async () => [],
): { stop(): Promise<void> } {
  let stopped = false;
  const work = (async () => {
    const own = await Promise.all(stores.map((store) => another(store)));
    const inbox = await another(leader);
    let index = Math.floor(monotonicClock.now() * 1000);
    const apply = async (entry: Entry, client: string, sequence: string) => {
      index += 1;
      for (const db of own) {
        await db.query("select cluster.apply($1, 1, $2, $3, $4, $5)", [
          index,
          entry.kind,
          client,
          sequence,
          JSON.stringify(entry.body),
        ]);
      }
    };
    while (!stopped) {
      const { rows } = await inbox.query("select * from raft.turn_gate(100)");
      const [{ gate, ticket, proposals }] = rows;
      for (const { client, sequence, kind, body } of proposals) {
        await apply({ kind, body }, client, sequence);
        for (const next of await then({ kind, body }, inbox)) {
          await apply(next, crypto.randomUUID(), "1");
        }
      }
      await inbox.query(
        "select raft.open_gate($1, nullif($2::bigint, 0), h.applied_index) from raft.hard_state as h",
        [gate, ticket],
      );
      await monotonicClock.sleep(5);
    }
    await Promise.all([...own, inbox].map((db) => db.end()));
  })();
  return {
    stop: async () => {
      stopped = true;
      await work;
    },
  };
}

/** Another connection to the same server, ended by the caller. */
export function another({ server }: Pick<Store, "server">, user = "postgres"): Promise<pg.Client> {
  return connect({
    host: server.host,
    port: server.port,
    user,
    applicationName: "test",
    connectLimitMs: 5000,
  });
}

/** The newest request's number. */
export async function newestRequest(db: pg.Client): Promise<number> {
  const { rows } = await db.query("select max(request_id)::integer as id from cluster.request");
  return rows[0].id;
}
