/**
 * Every committed change of a publication as a line of JSON in a file, through failovers and restarts of this program:
 * none missing, none twice. The checkpoint is in the file itself: what follows its last one is cut off at the start.
 *
 *   DATABASE_URL='postgresql://cdc@db1,db2,db3/shop' SLOT=changes PUBLICATION=changes FILE=changes.jsonl \
 *     node examples/change-stream.ts
 *
 * Once, on the primary: create publication changes for all tables; and the slot, which this program makes when FILE is
 * not there yet. On PostgreSQL 15 and 16 leave FAILOVER unset, on 17 and newer set it to 1.
 */
import { open, readFile } from "node:fs/promises";
import {
  createSlot,
  Lsn,
  type Relation,
  ReplicationClient,
  type ReplicationEvent,
} from "pg-replica/replication";

const { SLOT = "changes", PUBLICATION = "changes", FILE = "changes.jsonl" } = process.env;
const uri = process.env.DATABASE_URL ?? "postgresql://postgres@localhost/postgres";
const [, user = "postgres", password, nodes = "", database = "postgres"] =
  /^postgres(?:ql)?:\/\/([^:@]+)(?::([^@]*))?@([^/]+)\/([^?]+)/.exec(uri) ?? [];
const upstream = {
  hosts: nodes.split(","),
  user: decodeURIComponent(user),
  ...(password === undefined ? {} : { password: decodeURIComponent(password) }),
  database,
};

interface Checkpoint {
  readonly lsn: string;
  readonly timeline: number;
}

const file = await open(FILE, "a");
const checkpoint = await cutToCheckpoint();
if (checkpoint === undefined) {
  const failover = process.env.FAILOVER === "1";
  await createSlot(upstream, { name: SLOT, failover }).catch((error: { sqlstate?: string }) => {
    // It is there: made by an earlier start that wrote nothing yet.
    if (error.sqlstate !== "42710") throw error;
  });
}
const client = await ReplicationClient.connect({
  ...upstream,
  slot: SLOT,
  publication: PUBLICATION,
  reconnect: { maxAttempts: 1000, baseDelayMs: 50, maxDelayMs: 1000 },
  ...(checkpoint === undefined
    ? {}
    : { startLsn: Lsn.parse(checkpoint.lsn), startTimeline: checkpoint.timeline }),
});
process.once("SIGTERM", () => client.stop());
console.log(`streaming from ${checkpoint?.lsn ?? "the slot's beginning"}`);

let done: Lsn = checkpoint === undefined ? Lsn.ZERO : Lsn.parse(checkpoint.lsn);
let lines: string[] = [];
for await (const event of client) {
  if (event.kind === "begin") lines = [];
  const change = changeOf(event);
  if (change !== undefined) lines.push(JSON.stringify(change, unchanged));
  if (event.kind !== "commit") continue;
  // Handed out again after a reconnect: it is in the file.
  if (event.endLsn > done) await keep(event.endLsn);
  client.updateAppliedLsn(event.endLsn);
}
await file.close();

/** `old`: the key before the update where that changed it; the whole row under replica identity full. */
function changeOf(event: ReplicationEvent): object | undefined {
  if (event.kind === "insert") return { insert: nameOf(event.relation), row: event.new };
  if (event.kind === "delete") return { delete: nameOf(event.relation), row: event.old };
  if (event.kind === "truncate") return { truncate: event.relations.map(nameOf) };
  if (event.kind !== "update") return undefined;
  return { update: nameOf(event.relation), row: event.new, old: event.old ?? undefined };
}

function nameOf({ schema, table }: Relation): string {
  return `${schema}.${table}`;
}

/** A transaction with its checkpoint, durable before it is acknowledged. */
async function keep(lsn: Lsn): Promise<void> {
  const mark = { checkpoint: { lsn: Lsn.format(lsn), timeline: client.timeline } };
  await file.write([...lines, JSON.stringify(mark), ""].join("\n"));
  await file.datasync();
  done = lsn;
}

/** A large value that an update did not touch is not sent: it is left out. */
function unchanged(_: string, value: unknown): unknown {
  return typeof value === "symbol" ? undefined : value;
}

/** What follows the last checkpoint was not acknowledged: it comes again. */
async function cutToCheckpoint(): Promise<Checkpoint | undefined> {
  const whole = (await readFile(FILE, "utf8")).split("\n").slice(0, -1);
  const last = whole.findLastIndex((line) => line.startsWith('{"checkpoint":'));
  const kept = whole.slice(0, last + 1).map((line) => `${line}\n`);
  await file.truncate(Buffer.byteLength(kept.join("")));
  return last === -1
    ? undefined
    : (JSON.parse(whole[last] ?? "") as { checkpoint: Checkpoint }).checkpoint;
}
