/** W3: money that moves between accounts, at three isolation levels, and sums of all of it on every server. */
import type pg from "pg";
import { ISOLATIONS } from "../../histories/lists.ts";
import { bankAnomalies, type Scanned } from "../../histories/scans.ts";
import type { ClusterView } from "../cluster.ts";
import type { Random } from "../random.ts";
import { nextWriter } from "../round.ts";
import { firstAnswer, rows } from "../sql.ts";
import { until } from "../until.ts";
import { change, goOn, type Told } from "./sessions.ts";

export interface Bank {
  stop(): Promise<void>;
  /** After `stop`. */
  judge(primaryUri: string): Promise<BankVerdict>;
}

export interface BankVerdict {
  readonly moved: Readonly<Record<Told, number>>;
  /** Readings of all accounts, and how many of them were not all alike. */
  readonly readings: number;
  readonly different: number;
  readonly anomalies: readonly Scanned[];
}

const ACCOUNTS = 6;
const EACH = 100;

export async function startBank(cluster: ClusterView, random: Random): Promise<Bank> {
  const table = `accounts_${nextWriter()}`;
  const hosts = cluster.dataUris();
  await until("a server makes the accounts", { limitMs: 10_000 }, () =>
    firstAnswer(hosts, (uri) =>
      rows(
        uri,
        `create table if not exists ${table} as
           select id, ${EACH} as balance from generate_series(1, ${ACCOUNTS}) as id`,
      ),
    ),
  );
  const moved: Record<Told, number> = { ok: 0, fail: 0, unknown: 0 };
  const readings: number[][] = [];
  let stopping = false;

  const move = (isolation: string) => async (client: pg.Client) => {
    const [from = 0, to = 0] = random.shuffled(Array.from({ length: ACCOUNTS }, (_, at) => at + 1));
    const amount = random.int(1, 20);
    const told = await transfer(client, { table, isolation, from, to, amount });
    moved[told] += 1;
    return told === "ok";
  };

  async function read(client: pg.Client): Promise<boolean> {
    const found = await balances(client, table);
    if (found === undefined) return false;
    readings.push(found);
    return true;
  }

  const common = { stopping: () => stopping };
  const clients = [
    ...ISOLATIONS.map((isolation, first) =>
      goOn({ ...common, hosts, first, everyMs: 40, act: move(isolation) }),
    ),
    ...hosts.map((uri) => goOn({ ...common, hosts: [uri], everyMs: 100, act: read })),
  ];
  return {
    stop: async () => {
      stopping = true;
      await Promise.all(clients);
    },
    judge: async (uri) => {
      const [last] = await rows<{ held: number[] }>(uri, all(table));
      const every = [...readings, last?.held ?? []];
      const different = new Set(every.map(String)).size;
      const anomalies = bankAnomalies(ACCOUNTS * EACH, every);
      return { moved, readings: readings.length, different, anomalies };
    },
  };
}

const all = (table: string) => `select array_agg(balance order by id) as held from ${table}`;

/** Undefined when the connection is lost, or the table is not there yet. */
async function balances(client: pg.Client, table: string): Promise<number[] | undefined> {
  try {
    const { rows: found } = await client.query<{ held: number[] }>(all(table));
    return found[0]?.held;
  } catch {
    return undefined;
  }
}

interface Transfer {
  readonly table: string;
  readonly isolation: string;
  readonly from: number;
  readonly to: number;
  readonly amount: number;
}

/** In two statements: half of it must never be seen. */
async function transfer(
  client: pg.Client,
  { table, isolation, from, to, amount }: Transfer,
): Promise<Told> {
  const steps: [string, unknown[]][] = [
    [`begin isolation level ${isolation} read write`, []],
    [`update ${table} set balance = balance - $2 where id = $1`, [from, amount]],
    [`update ${table} set balance = balance + $2 where id = $1`, [to, amount]],
    ["commit", []],
  ];
  for (const [text, values] of steps) {
    const { outcome: told } = await change(client, text, values);
    if (told === "ok") continue;
    if (told === "fail") await client.query("rollback").catch(() => undefined); // it shows at the next statement
    return told;
  }
  return "ok";
}
