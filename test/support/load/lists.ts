/**
 * W1: transactions that append to lists and read them, at three isolation levels, through whoever of the
 * hosts is primary.
 */
import type pg from "pg";
import { monotonicClock } from "../../../src/clock/clock.ts";
import {
  type FinalLists,
  ISOLATIONS,
  type ListTransaction,
  type Micro,
} from "../../histories/lists.ts";
import type { Random } from "../random.ts";
import { nextWriter } from "../round.ts";
import { firstAnswer, onUnconfirmed, rows, sqlstate } from "../sql.ts";
import { until } from "../until.ts";
import { goOn } from "./sessions.ts";

export interface Lists {
  /** Each load has its own. */
  readonly table: string;
  readonly history: readonly ListTransaction[];
  stop(): Promise<void>;
}

const KEYS = 8;

/** Two clients at each isolation level: what serializable ones forbid they forbid each other. */
export async function startLists(hosts: readonly string[], random: Random): Promise<Lists> {
  const table = `lists_${nextWriter()}`;
  await until("a server makes the table", { limitMs: 10_000 }, () =>
    firstAnswer(hosts, (uri) =>
      rows(uri, `create table if not exists ${table} (key integer primary key, items integer[])`),
    ),
  );
  const history: ListTransaction[] = [];
  let stopping = false;
  let appended = 0;

  function plan(): Micro[] {
    return Array.from({ length: random.int(1, 4) }, (): Micro => {
      const key = random.int(1, KEYS) + KEYS * Math.floor(appended / 2000);
      if (random.chance(0.5)) return { f: "read", key, value: undefined };
      appended += 1;
      return { f: "append", key, value: appended };
    });
  }

  const levels = [...ISOLATIONS, ...ISOLATIONS];
  const clients = levels.map((isolation, process) =>
    goOn({
      hosts,
      first: process,
      everyMs: 30,
      stopping: () => stopping,
      act: async (client) => {
        const one = await transact(client, table, { process, isolation, planned: plan() });
        history.push(one.transaction);
        return !one.lost;
      },
    }),
  );
  return {
    table,
    history,
    stop: async () => {
      stopping = true;
      await Promise.all(clients);
    },
  };
}

async function transact(
  client: pg.Client,
  table: string,
  {
    process,
    isolation,
    planned,
  }: Pick<ListTransaction, "process" | "isolation"> & { readonly planned: readonly Micro[] },
): Promise<{ transaction: ListTransaction; lost: boolean }> {
  const startedAt = monotonicClock.now();
  const micros: Micro[] = [...planned];
  let cancelled = false;
  const hearNoMore = onUnconfirmed(client, () => {
    cancelled = true;
  });
  const finish = (outcome: ListTransaction["outcome"], lost: boolean) => {
    hearNoMore();
    const endedAt = monotonicClock.now();
    const times = { startedAt, endedAt };
    return { transaction: { process, isolation, micros, outcome, cancelled, ...times }, lost };
  };
  let committing = false;
  try {
    await client.query(`begin isolation level ${isolation} read write`);
    for (const [index, micro] of planned.entries())
      micros[index] = await perform(client, table, micro);
    committing = true;
    await client.query("commit");
    return finish(cancelled ? "unknown" : "ok", false);
  } catch (error) {
    const refused = /^(40001|40P01|25006)$/.test(sqlstate(error));
    if (!refused) return finish(committing ? "unknown" : "fail", true);
    await client.query("rollback").catch(() => undefined); // the connection is dropped at the next statement
    return finish("fail", sqlstate(error) === "25006");
  }
}

async function perform(client: pg.Client, table: string, micro: Micro): Promise<Micro> {
  if (micro.f === "append") {
    await client.query(
      `insert into ${table} values ($1, array[$2::integer])
       on conflict (key) do update set items = ${table}.items || excluded.items`,
      [micro.key, micro.value],
    );
    return micro;
  }
  const { rows: found } = await client.query<{ items: number[] }>(
    `select items from ${table} where key = $1`,
    [micro.key],
  );
  return { ...micro, value: found[0]?.items ?? [] };
}

/** What the lists hold in the end. */
export async function finalLists(uri: string, table: string): Promise<FinalLists> {
  const found = await rows<{ key: number; items: number[] }>(
    uri,
    `select key, items from ${table}`,
  );
  return new Map(found.map(({ key, items }) => [key, items]));
}
