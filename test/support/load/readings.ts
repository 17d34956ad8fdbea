/**
 * W5: values that are added one by one, each with a counter in the same transaction, and readings of all of them on
 * every server, primary or standby, each under one snapshot.
 */
import type pg from "pg";
import { monotonicClock } from "../../../src/clock/clock.ts";
import {
  parseRanges,
  type ReadAnomaly,
  readAnomalies,
  type SetReading,
} from "../../histories/reads.ts";
import {
  bankAnomalies,
  counterAnomalies,
  type Increment,
  type Scanned,
} from "../../histories/scans.ts";
import type { ClusterView } from "../cluster.ts";
import { nextWriter } from "../round.ts";
import { firstAnswer, rows } from "../sql.ts";
import { until } from "../until.ts";
import { change, goOn, HASTY_MS } from "./sessions.ts";

export interface Readings {
  readonly adds: readonly Increment[];
  readonly readings: readonly SetReading[];
  stop(): Promise<void>;
  /** After `stop`; `strict`: whether primaries show nothing but the present (H31). */
  judge(primaryUri: string, how: { readonly strict: boolean }): Promise<ReadingsVerdict>;
}

export interface ReadingsVerdict {
  readonly added: Readonly<Record<Increment["outcome"], number>>;
  readonly primary: number;
  readonly standby: number;
  readonly anomalies: readonly (ReadAnomaly | Scanned)[];
}

const READING_SHARE = 0.1;

const now = () => monotonicClock.now();
const sizeOf = ({ shown }: Pick<SetReading, "shown">) =>
  shown.reduce((sum, [from, to]) => sum + to - from, 0);

interface Row {
  readonly standby: boolean;
  readonly n: number;
  readonly shown: string | null;
}

export async function startReadings(cluster: ClusterView): Promise<Readings> {
  const name = `added_${nextWriter()}`;
  const hosts = cluster.dataUris();
  await until("a server makes the tables", { limitMs: 10_000 }, () =>
    firstAnswer(hosts, async (uri) => {
      await rows(uri, `create table if not exists ${name} (value integer primary key)`);
      await rows(uri, `create table if not exists ${name}_count as select 0 as n`);
      return true;
    }),
  );
  const run = {
    name,
    adds: [] as Increment[],
    readings: [] as SetReading[],
    counts: [] as number[],
  };
  let stopping = false;
  let values = 0;

  async function add(client: pg.Client): Promise<boolean> {
    values += 1;
    const value = values;
    const startedAt = now();
    const text = `with added as (insert into ${name} values ($1)) update ${name}_count set n = n + 1`;
    const { outcome, cancelled } = await change(client, text, [value]);
    run.adds.push({ value, outcome, cancelled, startedAt, endedAt: now() });
    return outcome === "ok";
  }

  async function read(client: pg.Client, session: number): Promise<boolean> {
    const startedAt = now();
    try {
      const { rows: found } = await client.query<Row>(
        `select pg_is_in_recovery() as standby, (select n from ${name}_count) as n,
                (select range_agg(int4range(value, value + 1)) from ${name})::text as shown`,
      );
      const [{ standby, n, shown } = { standby: true, n: 0, shown: null }] = found;
      const server = standby ? "standby" : "primary";
      const times = { startedAt, endedAt: now() };
      run.readings.push({ session, server, ...times, shown: parseRanges(shown ?? "") });
      run.counts.push(n);
      return true;
    } catch {
      return false; // lost, or the table is not there yet: nothing was shown
    }
  }

  const common = { stopping: () => stopping };
  const clients = [
    goOn({ ...common, hosts, everyMs: 20, act: add }),
    // It goes on elsewhere while the other still waits.
    goOn({ ...common, hosts, first: 1, everyMs: 20, answerMs: HASTY_MS, act: add }),
    // A reading takes the longer the more there is.
    ...hosts.map((uri) =>
      goOn({ ...common, hosts: [uri], everyMs: 50, share: READING_SHARE, act: read }),
    ),
  ];
  return {
    adds: run.adds,
    readings: run.readings,
    stop: async () => {
      stopping = true;
      await Promise.all(clients);
    },
    judge: (uri, how) => judge(run, uri, how),
  };
}

async function judge(
  {
    name,
    adds,
    readings,
    counts,
  }: Pick<Readings, "adds" | "readings"> & {
    readonly name: string;
    readonly counts: readonly number[];
  },
  uri: string,
  { strict }: { readonly strict: boolean },
): Promise<ReadingsVerdict> {
  const [row] = await rows<{ shown: string | null }>(
    uri,
    `select range_agg(int4range(value, value + 1))::text as shown from ${name}`,
  );
  const final = parseRanges(row?.shown ?? "");
  const end: SetReading = {
    session: 0,
    server: "primary",
    startedAt: now(),
    endedAt: now(),
    shown: final,
  };
  const all = [...readings, end];
  const ones = adds.map((one) => ({ ...one, value: 1 }));
  const totals = all.filter(({ server }) => strict && server === "primary");
  const outcomes = (wanted: Increment["outcome"]) =>
    adds.filter(({ outcome }) => outcome === wanted).length;
  const on = (wanted: SetReading["server"]) =>
    readings.filter(({ server }) => server === wanted).length;
  return {
    added: { ok: outcomes("ok"), fail: outcomes("fail"), unknown: outcomes("unknown") },
    primary: on("primary"),
    standby: on("standby"),
    anomalies: [
      // What is there in the end is read as strictly as can be: nothing acknowledged is missing (D1, D2).
      ...readAnomalies({ adds, readings: [end], final, strict: true }),
      ...readAnomalies({ adds, readings, final, strict }),
      // A value and its count are one transaction.
      ...readings.flatMap((one, at) => bankAnomalies(sizeOf(one), [[counts[at] ?? -1]])),
      ...counterAnomalies(
        ones,
        totals.map((one) => ({ ...one, value: sizeOf(one) })),
      ),
    ],
  };
}
