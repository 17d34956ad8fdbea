/** `pg-replica status`: every member, as the asked node sees it, without needing a quorum. */
import { monotonicClock } from "../clock/clock.ts";
import { type ClusterRow, cluster, type StatusRow, status } from "../db/pg-replica.ts";
import { CONFIG_HELP, type Command, parseCommand, print } from "./command.ts";
import { type Store, withStore } from "./store.ts";
import { type Column, json, paint, table } from "./table.ts";

const HELP = `pg-replica status [--config FILE | --uri URI] [--json] [--watch]

Shows one line per member, as this node sees them. Exit code 1 when no member takes writes.

${CONFIG_HELP}
  --uri URI       ask this server instead: any control store, or a data server
  --json          for machines
  --watch         again each second, until interrupted
`;

const STATEMENT_LIMIT_MS = 5000;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values } = parseCommand(args, {
      config: { type: "string" },
      uri: { type: "string" },
      json: { type: "boolean", default: false },
      watch: { type: "boolean", default: false },
    });
    const show = values.json ? showJson : showTable;
    return await withStore(values, STATEMENT_LIMIT_MS, (store) =>
      values.watch ? watch(store, show) : look(store, show),
    );
  },
};

type Show = (cluster: ClusterRow, members: readonly StatusRow[]) => string;

async function look(store: Store, show: Show): Promise<number> {
  const members = await status(store);
  print(show(await cluster(store), members));
  return members.some(({ writable }) => writable) ? 0 : 1;
}

async function watch(store: Store, show: Show): Promise<number> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  let last = 0;
  while (!stop.signal.aborted) {
    if (process.stdout.isTTY) process.stdout.write("\x1b[H\x1b[2J");
    last = await look(store, show);
    await monotonicClock.sleep(1000, stop.signal);
  }
  return last;
}

function showJson(cluster: ClusterRow, members: readonly StatusRow[]): string {
  return json({ cluster, members });
}

const COLUMNS: readonly Column<StatusRow>[] = [
  { title: "id", text: ({ node_id }) => `${node_id}`, right: true },
  { title: "name", text: ({ name }) => name },
  { title: "address", text: ({ host, port }) => (port === null ? "-" : `${host}:${port}`) },
  { title: "role", text: ({ role }) => role, style: roleStyle },
  { title: "state", text: ({ state }) => state, style: stateStyle },
  { title: "writes", text: ({ writable }) => (writable ? "yes" : "no") },
  { title: "raft", text: ({ raft_role }) => raft_role },
  { title: "epoch", text: ({ epoch }) => `${epoch ?? "-"}`, right: true },
  { title: "lag", text: ({ lag_bytes }) => bytes(lag_bytes), right: true },
  { title: "sync", text: ({ sync_state }) => sync_state ?? "-" },
  { title: "reason", text: ({ reason }) => reason ?? "" },
];

function showTable(cluster: ClusterRow, members: readonly StatusRow[]): string {
  return `${table(members, COLUMNS)}\n\n${summary(cluster)}`;
}

function summary(row: ClusterRow): string {
  const writes = row.writable ? paint("green", "takes writes") : paint("red", "takes no writes");
  const quorum = row.has_quorum ? "" : paint("red", ", no quorum");
  const paused = row.paused ? paint("yellow", ", paused") : "";
  const why = row.failover_reason === null ? "" : ` (${row.failover_reason})`;
  const rule = row.commit_rule ? `, commits wait for ${row.commit_rule}` : "";
  return `The cluster ${writes}${quorum}${paused}${rule}; failover ${row.failover}${why}.`;
}

function roleStyle({ role }: StatusRow) {
  return role === "primary" ? "bold" : undefined;
}

function stateStyle({ state }: StatusRow) {
  if (state === "running" || state === "streaming") return "green";
  return state === "unreachable" || state === "stopped" || state === "fenced" ? "red" : "yellow";
}

/** `-`, `0 B`, `16 kB`, `1.2 GB`. */
export function bytes(count: bigint | null): string {
  if (count === null) return "-";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = Number(count);
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}
