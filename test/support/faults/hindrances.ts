/** What stands in the way of a commit, a promotion or a change: F41, F47, F49, F51. */
import { writeFile } from "node:fs/promises";
import type { Bed } from "../bed/bed.ts";
import { between } from "../bed/links.ts";
import { onPrimary } from "../health.ts";
import { hangUp, open, rows, value } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { killed } from "./crashes.ts";
import { type Fault, type Injected, nodes, now } from "./fault.ts";
import { blocked } from "./links.ts";
import { switchover } from "./restarts.ts";

/** An archive_command that fails. */
const FAILS = "exit 1";
const SLOW = "sleep 30";
const quick = { connectMs: 1000, answerMs: 2000 };

/** Cut off, and every wait for confirmation is cancelled: what the client gets is no commit (H13). */
async function cancelStorm(bed: Bed, id: number, others: readonly number[]): Promise<Injected> {
  const { uri } = bed.node(id).data;
  const at = now();
  const block = await bed.network.cut(between([id], others, { how: "drop" }));
  const cut = blocked(at, `node ${id} cut off, its waits cancelled`, block);
  let over = false;
  let cancels = 0;
  const storm = async () => {
    while (!over) {
      cancels += await value(
        uri,
        `select count(pg_cancel_backend(pid)) from pg_stat_activity
          where wait_event = 'SyncRep' and pid <> pg_backend_pid()`,
        [],
        quick,
      ).then(Number, () => 0); // it is fenced after a while
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const running = storm();
  return {
    ...cut,
    proof: async () => {
      const said = await cut.proof();
      await until("a wait is cancelled", { limitMs: 5000 }, () => cancels > 0);
      return `${said}, ${cancels} waits cancelled so far`;
    },
    heal: async () => {
      over = true;
      await running;
      await cut.heal();
    },
  };
}

/** Replay is paused on every standby, by an operator who forgot; then the primary's data server dies. */
async function replayPaused(
  bed: Bed,
  primary: number,
  standbys: readonly number[],
): Promise<Injected> {
  for (const id of standbys) {
    const { uri } = bed.node(id).data;
    await rows(uri, "select pg_wal_replay_pause()");
    await until("it is paused", { limitMs: 5000 }, async () => {
      const state = await value(uri, "select pg_get_wal_replay_pause_state()");
      if (state !== "paused") throw new NotYet(state);
      return true;
    });
  }
  const what = `replay paused on ${nodes(standbys)}, data server of node ${primary} killed`;
  return killed(what, bed.serverOf(primary, "data"));
}

/** A reader on every standby holds what the primary drops; replay waits for it; then the primary's data server dies. */
async function replayBlocked(
  bed: Bed,
  primary: number,
  standbys: readonly number[],
): Promise<Injected> {
  await onPrimary(bed, "create table if not exists in_the_way as select 1 as n");
  const readers = await Promise.all(
    standbys.map(async (id) => {
      const { uri } = bed.node(id).data;
      const client = await open(uri);
      client.on("error", () => undefined); // cancelled, or its server starts again
      await until("the table is there", { limitMs: 5000 }, async () => {
        await client.query("begin");
        await client.query("select n from in_the_way").catch(async (error: Error) => {
          await client.query("rollback");
          throw new NotYet(error.message);
        });
        return true;
      });
      return { client, uri };
    }),
  );
  await onPrimary(bed, "drop table in_the_way");
  for (const { uri } of readers) {
    await until("replay waits for a reader", { limitMs: 5000 }, async () => {
      const found = await value(
        uri,
        "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and not granted",
      );
      if (found === "0") throw new NotYet("not yet");
      return true;
    });
  }
  const what = `replay held up on ${nodes(standbys)}, data server of node ${primary} killed`;
  const dead = killed(what, bed.serverOf(primary, "data"));
  return {
    ...dead,
    heal: async () => {
      for (const { client } of readers) hangUp(client);
    },
  };
}

/** The archiver of this node does `program` instead of nothing; one that fails is told of. */
async function archiving(bed: Bed, id: number, program: string): Promise<Injected> {
  const { control, data } = bed.node(id);
  const told = () =>
    value(control.uri, "select count(*) from pg_replica.events where event = 'archive_fails'");
  const at = now();
  const before = await told();
  await writeFile(bed.archiverOf(id), `${program}\n`);
  await rows(data.uri, "select pg_switch_wal()");
  return {
    at,
    what: `the archiver of node ${id} does ${program}`,
    proof: async () =>
      await until("it is told", { limitMs: 15_000 }, async () => {
        const waiting = await value(data.uri, "select archive_ready from pg_replica.wal_usage");
        if (waiting === "0") throw new NotYet("no segment waits");
        if (program === FAILS && (await told()) === before) throw new NotYet("no event tells");
        return `${waiting} segments wait`;
      }),
    heal: async () => await writeFile(bed.archiverOf(id), "exit 0\n"),
  };
}

/** A standby stops counting and standing for promotion; healing takes it in again. */
async function takenOut(bed: Bed, id: number): Promise<Injected> {
  const set = (whether: boolean) =>
    until(`set_node is taken`, { limitMs: 30_000 }, async () => {
      const call = `select pg_replica.set_node(${id}, promotable => ${whether}, sync => ${whether})`;
      await onPrimary(bed, call);
      return true;
    });
  const at = now();
  await set(false);
  return {
    at,
    what: `node ${id} taken out of the commit rule and of the candidates`,
    proof: async () =>
      await until("the rule is another", { limitMs: 10_000 }, async () => {
        const rule = await onPrimary(bed, "show synchronous_standby_names");
        const shown = JSON.stringify(rule);
        if (shown.includes(`pgr_${id}_`)) throw new NotYet(shown);
        return "the rule is without it";
      }),
    heal: async () => void (await set(true)),
  };
}

export const HINDRANCES: readonly Fault[] = [
  {
    id: "F41",
    name: "every wait for confirmation is cancelled while the primary is cut off",
    needs: [],
    bound: "silent",
    failover: "must",
    lasts: [5000, 8000],
    inject: ({ bed, primary, standbys }) => cancelStorm(bed, primary, standbys),
  },
  {
    id: "F47",
    name: "a standby is taken out of the commit rule and of the candidates",
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [2000, 4000],
    inject: ({ bed, standbys, random }) => takenOut(bed, random.pick(standbys)),
  },
  {
    id: "F49",
    name: "replay is paused on every standby, and the primary dies",
    needs: [],
    bound: "silent",
    failover: "must",
    lasts: [1000, 3000],
    inject: ({ bed, primary, standbys }) => replayPaused(bed, primary, standbys),
  },
  {
    id: "F49",
    name: "a reader holds up replay on every standby, and the primary dies",
    needs: [],
    bound: "silent",
    failover: "must",
    lasts: [1000, 3000],
    inject: ({ bed, primary, standbys }) => replayBlocked(bed, primary, standbys),
  },
  {
    id: "F51",
    name: "the primary's archive is down",
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [3000, 6000],
    inject: ({ bed, primary }) => archiving(bed, primary, FAILS),
  },
  {
    id: "F51",
    name: "the primary's archive is slow",
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [3000, 6000],
    inject: ({ bed, primary }) => archiving(bed, primary, SLOW),
  },
  {
    id: "F51",
    name: "the primary's archive is slow, and a planned switchover",
    needs: [],
    bound: "untouched",
    failover: "must",
    lasts: [0, 1000],
    inject: async ({ bed, primary, standbys, random }) => {
      const slow = await archiving(bed, primary, SLOW);
      const asked = await switchover(bed, random.pick(standbys));
      return { ...asked, what: `${slow.what}, ${asked.what}`, heal: slow.heal };
    },
  },
];
