/**
 * A simulated cluster: made anew, or from an image of one that has formed, so that each seed begins with a cold
 * start.
 */
import type { Config } from "../../src/config/schema.ts";
import { Acceptor, type Durable } from "../oracle/twin/acceptor.ts";
import type { Member } from "../oracle/twin/cluster.ts";
import { Checks } from "./checkers/checks.ts";
import { Engine, type Proc } from "./engine.ts";
import { Files, type VirtualFile } from "./files.ts";
import type { DataServer } from "./model/data-server.ts";
import { Host } from "./model/host.ts";
import { Network } from "./model/network.ts";
import type { Kept } from "./model/seen.ts";
import { lastRecord, PgData, resetRecords } from "./model/wal.ts";
import { enter, type World } from "./world.ts";

export type Mode = NonNullable<Config["syncMode"]>;

export interface Shape {
  readonly nodes: number;
  readonly mode: Mode;
}

/** Bounded by nothing in a run: the log is whole. */
const WHOLE_LOG = 10_000;

export interface Extent {
  /** How short the log is kept. */
  readonly keepEntries?: number | undefined;
  /** Nodes that could be made members, and are none. */
  readonly spares?: number | undefined;
}

/** What a power cut would leave of every node, taken at a quiet moment. */
export interface Image {
  readonly shape: Shape;
  readonly stores: readonly { readonly durable: Durable; readonly kept: Kept }[];
  readonly files: readonly (readonly [string, VirtualFile])[];
  readonly records: number;
}

const CLUSTER_ID = "6e8bc430-9c3a-51d9-9669-0800200c9a66";
const CONTROL_PORT = 6432;
const DATA_PORT = 5432;

export class Cluster implements World {
  readonly engine: Engine;
  readonly files = new Files();
  readonly network: Network;
  readonly checks: Checks;
  readonly hosts = new Map<number, Host>();
  readonly procs = new Map<number, Proc>();
  readonly servers = new Map<string, DataServer>();
  readonly starting = new Map<string, DataServer>();
  readonly mayGrow: boolean;
  readonly #founders: readonly number[];
  readonly #mode: Mode;
  /** Told of each durable step of each process. */
  onDurableStep: (proc: Proc) => void = () => undefined;

  constructor(
    seed: number,
    shape: Shape,
    image?: Image,
    { keepEntries = WHOLE_LOG, spares = 0 }: Extent = {},
  ) {
    this.engine = new Engine(seed);
    this.network = new Network(this.engine);
    this.checks = new Checks(this.engine, this.hosts);
    resetRecords(image?.records ?? 0);
    const ids = Array.from({ length: shape.nodes + spares }, (_, at) => at + 1);
    this.#founders = ids.slice(0, shape.nodes);
    this.#mode = shape.mode;
    this.mayGrow = spares > 0;
    enter(this);
    for (const id of ids) {
      this.network.nameHost(hostOf(id), id);
      const config = configOf(id, this.#founders, shape.mode, keepEntries);
      const host = new Host(this, config, this.#life(id, firstLife(id)));
      const stored = image?.stores[id - 1];
      if (stored !== undefined) {
        host.acceptor.crash("off", stored.durable);
        host.kept = structuredClone(stored.kept);
      }
      host.deployed = this.#founders.includes(id);
      this.hosts.set(id, host);
      this.files.makeFolder(`/sim/n${id}`);
    }
    for (const [path, { text, object }] of image?.files ?? []) {
      this.files.write(path, text, object instanceof PgData ? object.copy() : object);
    }
  }

  /** A store that was just made; one that is no founder's first needs the log's word to vote (H56). */
  #life(id: number, incarnation: string): Pick<Host, "acceptor" | "incarnation" | "kept"> {
    const first = this.#founders.includes(id) && incarnation === firstLife(id);
    const identity = {
      nodeId: id,
      clusterId: CLUSTER_ID,
      hasLogin: (peer: number) => this.host(id).logins.has(peer),
      ...(first ? {} : { newcomer: incarnation }),
    };
    const acceptor = new Acceptor(identity, this.#founders.map(memberRow), "off", this.#mode);
    return { acceptor, incarnation, kept: { beats: 0, acts: [], dataLife: [] } };
  }

  /** Another life of a node, which is dead: its control store is lost, and its data too unless they are kept. */
  beginAnew(id: number, { keepData }: { readonly keepData: boolean }): void {
    const host = this.host(id);
    const dir = `/sim/n${id}`;
    for (const name of this.files.list(dir)) {
      if (!keepData || name.endsWith(".mark")) this.files.remove(`${dir}/${name}`);
    }
    const former = host.incarnation;
    host.beginAnew(this.#life(id, this.engine.random("lives").uuid()));
    // Made from an invitation; one that kept its identity knows whom it knew.
    if (!keepData) {
      const { members } = this.checks.data.newestState();
      host.logins = new Set(members.map(({ node_id }) => node_id));
    }
    this.checks.begunAnew(id, former);
  }

  durableStep(proc: Proc | undefined): void {
    if (proc !== undefined && !proc.dead) this.onDurableStep(proc);
  }

  host(id: number): Host {
    const found = this.hosts.get(id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  /** The data server of the newest epoch's node, if it is primary with an open gate. */
  primary(): DataServer | undefined {
    const epoch = this.checks.data.newestState().epochs.at(-1);
    if (epoch?.state !== "serving" || epoch.node_id === null) return undefined;
    const server = this.host(epoch.node_id).server();
    return server?.ready && !server.inRecovery && server.hbaOpen ? server : undefined;
  }

  image(shape: Shape): Image {
    const files = this.files.under("/sim").map(([path, { text, object }]) => {
      // What else hangs on a file is a process, and no process outlives its world.
      return [path, object instanceof PgData ? { text, object: object.copy() } : { text }] as const;
    });
    const stores = [...this.hosts.values()].map(({ acceptor, kept }) => ({
      durable: acceptor.dump(),
      kept: structuredClone(kept),
    }));
    return { shape, stores, files, records: lastRecord() };
  }
}

function firstLife(id: number): string {
  return `0000000${id}-0000-4000-8000-00000000000${id}`;
}

/** Where node `id` would be. */
export function placeOf(id: number) {
  const { control_host, control_port, data_host, data_port } = memberRow(id);
  return { control_host, control_port, data_host, data_port };
}

function hostOf(id: number): string {
  return `10.0.0.${id}`;
}

function memberRow(id: number): Member {
  return {
    node_id: id,
    name: `n${id}`,
    incarnation: null,
    data_host: hostOf(id),
    data_port: DATA_PORT,
    control_host: hostOf(id),
    control_port: CONTROL_PORT,
    voter: true,
    promotable: true,
    priority: 100,
    wants_vote: true,
    sync: true,
    leaving: false,
    clone_from: false,
    state: "initial",
  };
}

function configOf(
  id: number,
  ids: readonly number[],
  syncMode: Mode,
  maxLogEntries: number,
): Config {
  const dir = `/sim/n${id}`;
  return {
    cluster: "sim",
    clusterId: CLUSTER_ID,
    node: { id, name: `n${id}` },
    dir,
    data: {
      dir: `${dir}/data`,
      host: hostOf(id),
      port: DATA_PORT,
      listen: hostOf(id),
      settings: {},
      logical: false,
      hba: ["host all all 127.0.0.1/32 scram-sha-256"],
    },
    control: {
      dir: `${dir}/control`,
      host: hostOf(id),
      port: CONTROL_PORT,
      listen: hostOf(id),
      hba: [],
    },
    peers: ids.map((peer) => ({
      id: peer,
      name: `n${peer}`,
      host: hostOf(peer),
      port: CONTROL_PORT,
      dataHost: hostOf(peer),
      dataPort: DATA_PORT,
    })),
    runAs: "postgres",
    peerSecret: "simulated",
    syncMode,
    timing: { heartbeatMs: 100, electionMs: 1000, probeMs: 200, silentMs: 1000, leaseMs: 3000 },
    raft: { maxLogEntries, maxLogBytes: 64 * 1024 * 1024 },
    watchdog: "off",
    strictReads: false,
    logLevel: "info",
  };
}
