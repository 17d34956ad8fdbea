/** `pg-replica init`: create this node's control store, and with it its identity. */
import { join } from "node:path";
import { CannotKeep, keepData } from "../agent/keep-data.ts";
import { monotonicClock } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import { addNode, invitation } from "../db/pg-replica.ts";
import { silentLog } from "../log/logger.ts";
import {
  createControlStore,
  startControlStore,
  stopControlStore,
} from "../worker/control-store.ts";
import {
  CONFIG_HELP,
  type Command,
  CommandFailed,
  configOf,
  parseCommand,
  print,
  UsageError,
  wholeNumber,
} from "./command.ts";
import { claimPidFile } from "./pid-file.ts";
import { type Programs, programsOf } from "./programs.ts";
import { withStore } from "./store.ts";

const HELP = `pg-replica init --config FILE
pg-replica init --keep-data --config FILE
pg-replica init --join URI --config FILE [--no-vote] [--priority N] [--prepare]

Creates this node's control store. Refuses when anything of an earlier life is there, or
another init is at work; never deletes. With --join the node becomes a member of the cluster
that answers at URI (a control store of it, as superuser or in pgreplica_admin); its file
names no peers. Then pg-replica run: it copies the data, votes and counts by itself.
With --keep-data the PostgreSQL data directory at data.dir, whose server is stopped, becomes
the cluster's: of a cluster of one, whose file names this node as its only peer; others join.

${CONFIG_HELP}
  --join URI      the control store of any member; in TLS where the file has it and URI says nothing else
  --no-vote       it will not count for the majority of Raft
  --keep-data     found the cluster with the data that lie in data.dir
  --priority N    among equally good candidates the highest is promoted (default: 100)
  --prepare       only prepare it: pg_replica.add_node() on a member lets it in
`;

const JOIN_LIMIT_MS = 20_000;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values } = parseCommand(args, {
      config: { type: "string" },
      join: { type: "string" },
      "no-vote": { type: "boolean", default: false },
      priority: { type: "string", default: "100" },
      prepare: { type: "boolean", default: false },
      "keep-data": { type: "boolean", default: false },
    });
    const priority = wholeNumber("--priority", values.priority, { from: 0, to: 1000 });
    const config = await configOf(values.config);
    const { join: uri } = values;
    const keeps = values["keep-data"];
    if (!keeps) requireWay(config, uri);
    else if (uri !== undefined) throw new UsageError("--keep-data: expected no --join beside it");
    const programs = await programsOf(config);
    const release = await claimPidFile(join(config.dir, "init.pid"), `init of ${config.node.name}`);
    try {
      if (keeps) {
        await foundWithData(config, programs);
      } else if (uri === undefined) {
        await createControlStore(config, programs.binaries, programs.owner);
      } else {
        const voter = !values["no-vote"];
        await joinCluster(config, programs, { uri, voter, priority, prepare: values.prepare });
      }
    } finally {
      await release();
    }
    const { node, control } = config;
    print(`node ${node.id} (${node.name}) of ${config.cluster}: control store in ${control.dir}`);
    return 0;
  },
};

function requireWay({ peers }: Config, uri: string | undefined): void {
  if (uri === undefined && peers.length === 0) {
    throw new UsageError(
      "--join: missing: expected the URI of a member, as the file names no peers",
    );
  }
  if (uri !== undefined && peers.length > 0) {
    throw new UsageError(
      "--join: expected a file without peers: a node founds a cluster or joins one",
    );
  }
}

async function foundWithData(config: Config, { binaries, owner }: Programs): Promise<void> {
  const { data, peers, node } = config;
  if (data === undefined) throw new UsageError("--keep-data: expected a file with data.dir");
  if (peers.length !== 1 || peers[0]?.id !== node.id) {
    throw new UsageError(
      "--keep-data: expected a file whose only peer is this node: the others join",
    );
  }
  const kept = await keepData({ config, data, binaries, owner, clock: monotonicClock }).catch(
    (error: unknown) => {
      throw error instanceof CannotKeep ? new CommandFailed(error.message) : error;
    },
  );
  await createControlStore(config, binaries, owner, { keepsData: true });
  print(`kept: ${data.dir}, system ${kept.systemIdentifier}, timeline ${kept.timeline}`);
}

async function joinCluster(
  config: Config,
  { binaries, owner }: Programs,
  wish: {
    readonly uri: string;
    readonly voter: boolean;
    readonly priority: number;
    readonly prepare: boolean;
  },
): Promise<void> {
  const { uri, voter, priority, prepare } = wish;
  // Its own certificate is of no use to an operator's role; what it believes is.
  const tls =
    config.tls === undefined || config.tls.mode === "offer" ? undefined : { ca: config.tls.ca };
  const { cluster, ...invited } = await withStore({ uri, tls }, JOIN_LIMIT_MS, invitation);
  if (cluster !== config.cluster) {
    throw new CommandFailed(
      `cluster: ${config.cluster}: expected ${cluster}, as ${hostOf(uri)} says`,
    );
  }
  const joined = { ...config, clusterId: invited.clusterId };
  await createControlStore(joined, binaries, owner, { invitation: invited });
  if (prepare) return;
  const store = await startControlStore(joined, binaries, owner, {
    clock: monotonicClock,
    log: silentLog,
  });
  try {
    const { host, port } = config.control;
    const dsn = `host=${host} port=${port}`;
    await withStore({ uri, tls }, JOIN_LIMIT_MS, (db) => addNode(db, { dsn, voter, priority }));
  } finally {
    await stopControlStore(store);
  }
}

/** Without the password. */
function hostOf(uri: string): string {
  return uri.replace(/^.*@/, "").replace(/[/?].*$/, "");
}
