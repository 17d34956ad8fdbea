/** W7: transactions in two phases, some of them left prepared, and what became of each: an answer is a promise. */
import type pg from "pg";
import type { ClusterView } from "../cluster.ts";
import { onPrimary } from "../health.ts";
import { nextWriter } from "../round.ts";
import { rows } from "../sql.ts";
import { change, goOn, type Told } from "./sessions.ts";

export interface TwoPhase {
  stop(): Promise<void>;
  /** After `stop`: what each transaction was last told, beside what a primary holds of it. */
  judge(primaryUri: string): Promise<TwoPhaseVerdict>;
}

export interface TwoPhaseVerdict {
  /** How often the last step of a transaction was told so: "prepare ok", "commit unknown". */
  readonly told: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
  /** Still prepared, by global identifier. */
  readonly prepared: readonly string[];
}

type Step = "prepare" | "commit" | "rollback";
type Found = "nothing" | "prepared" | "committed";

const MAY_BE: Readonly<Record<`${Step} ${Told}`, readonly Found[]>> = {
  "prepare ok": ["prepared"],
  "prepare unknown": ["prepared", "nothing"],
  "prepare fail": ["nothing"],
  "commit ok": ["committed"],
  "commit unknown": ["committed", "prepared"],
  "commit fail": ["prepared"],
  "rollback ok": ["nothing"],
  "rollback unknown": ["nothing", "prepared"],
  "rollback fail": ["prepared"],
};
/** Of so many, one is left prepared. */
const LEFT = 6;

/** Its servers need `max_prepared_transactions`. */
export async function startTwoPhase(cluster: ClusterView, everyMs = 10): Promise<TwoPhase> {
  await onPrimary(cluster, "create table if not exists two_phase (gid text primary key)");
  const fates = new Map<string, `${Step} ${Told}`>();
  const writer = nextWriter();
  let stopping = false;
  let n = 0;

  async function act(client: pg.Client): Promise<boolean> {
    n += 1;
    const gid = `${writer}-${n}`;
    const told = await prepare(client, gid);
    if (told === undefined) return false;
    fates.set(gid, `prepare ${told}`);
    if (told !== "ok" || n % LEFT === 0) return told === "ok";
    const step = n % 2 === 0 ? "rollback" : "commit";
    const { outcome } = await change(client, `${step} prepared '${gid}'`, []);
    fates.set(gid, `${step} ${outcome}`);
    return outcome === "ok";
  }
  const client = goOn({ hosts: cluster.dataUris(), everyMs, act, stopping: () => stopping });

  return {
    stop: async () => {
      stopping = true;
      await client;
    },
    judge: async (uri) => await judge(uri, writer, fates),
  };
}

/** Undefined when it did not come to that. */
async function prepare(client: pg.Client, gid: string): Promise<Told | undefined> {
  try {
    await client.query("begin read write");
    await client.query("insert into two_phase values ($1)", [gid]);
  } catch {
    return undefined; // a standby, or nobody
  }
  return (await change(client, `prepare transaction '${gid}'`, [])).outcome;
}

async function judge(
  uri: string,
  writer: number,
  fates: ReadonlyMap<string, `${Step} ${Told}`>,
): Promise<TwoPhaseVerdict> {
  const [held] = await rows<{ prepared: string[]; committed: string[] }>(
    uri,
    `select array(select gid from pg_prepared_xacts where gid like $1) as prepared,
            array(select gid from two_phase where gid like $1) as committed`,
    [`${writer}-%`],
  );
  const { prepared = [], committed = [] } = held ?? {};
  const told: Record<string, number> = {};
  const wrong: string[] = [];
  for (const [gid, fate] of fates) {
    told[fate] = (told[fate] ?? 0) + 1;
    const [isPrepared, isCommitted] = [prepared.includes(gid), committed.includes(gid)];
    const found = isPrepared ? "prepared" : isCommitted ? "committed" : "nothing";
    const both = isPrepared && isCommitted;
    if (both || !MAY_BE[fate].includes(found)) wrong.push(`${gid}: told "${fate}", is ${found}`);
  }
  const unknown = [...prepared, ...committed].filter((gid) => !fates.has(gid));
  return { told, wrong: [...wrong, ...unknown.map((gid) => `${gid}: nobody sent it`)], prepared };
}
