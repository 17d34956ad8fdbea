/** A stage for the leader's loop: the model of the log, members that answer as told, ports that behave. */
import { createServer, type Server, type Socket } from "node:net";
import { monotonicClock } from "../../src/clock/clock.ts";
import type { Seen } from "../../src/coordinator/facts.ts";
import type { ClusterView } from "../../src/db/cluster.ts";
import { quietHints } from "../../src/db/hints.ts";
import { leadWhile } from "../../src/leader/as-leader.ts";
import type { PrimaryWatch } from "../../src/leader/watch.ts";
import { silentLog } from "../../src/log/logger.ts";
import type { Leadership, Outcome, PeerReport, Reach } from "../../src/raft/raft.ts";
import { member, SEEN, World } from "../coordinator/world.ts";

export interface Proposal {
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly atMs: number;
}

export class Stage {
  readonly world: World;
  readonly proposals: Proposal[] = [];
  readonly decisions: { pos: number; act: string; why: string }[] = [];
  readonly transfers: number[] = [];
  readonly term = new AbortController();
  readonly hints = quietHints();
  /** Overrides: what a member's store answers, how it is reached. */
  readonly reports = new Map<number, () => Promise<PeerReport | undefined>>();
  readonly reaches = new Map<number, { reach: Reach; sinceMs: number }>();
  /** What the log answers instead of applying. */
  refuse: string | undefined;
  /** Called after each entry that was applied: the agents' side of the world. */
  onApplied: (kind: string) => void = () => undefined;
  ports = new Map<number, number>();
  #beat = 1n;
  #ended: Promise<void> = Promise.resolve();

  constructor({ nodes = 3, self = 2 }: { nodes?: number; self?: number } = {}) {
    const members = Array.from({ length: nodes }, (_, i) => member(i + 1, { state: "attached" }));
    this.world = new World(members, self);
  }

  /** Node 1 serves epoch 1 under the default rule. */
  served(): void {
    const { world } = this;
    world.apply({ kind: "found", body: { node_id: 1, system_identifier: "7" } });
    world.apply({ kind: "promoted", body: {} });
    world.apply({ kind: "serving", body: { write_gap_ms: null } });
    const cohort = world.view.members.map((m) => m.node_id);
    const k = Math.floor(cohort.length / 2);
    world.apply({ kind: "rule_next", body: { k, cohort } });
    world.apply({ kind: "rule", body: {} });
    world.apply({ kind: "formed", body: {} });
    this.see(1, { role: "primary", state: "running", epoch: 1n, gate_open: true });
    for (const id of cohort.slice(1))
      this.see(id, { role: "standby", state: "streaming", epoch: 1n });
  }

  see(id: number, seen: Partial<Seen>): void {
    this.world.see(id, seen);
  }

  start(watch?: PrimaryWatch): void {
    const log = { ...silentLog, info: this.#note, warn: this.#note, debug: this.#note };
    log.child = () => log;
    this.#ended = leadWhile({
      leadership: this.#leadership(),
      store: undefined as never,
      config: {
        node: { id: this.world.facts.self, name: "node" },
        clusterId: "00000000-0000-0000-0000-000000000001",
        peerSecret: "secret",
        dir: "/nowhere",
        timing: { heartbeatMs: 100, electionMs: 1000, probeMs: 200, silentMs: 1000, leaseMs: 3000 },
      },
      clock: monotonicClock,
      log,
      hints: this.hints,
      ...(watch === undefined ? {} : { watch }),
      readView: () => Promise.resolve(this.#view()),
    });
    // A failed loop shows when the stage ends; until then it is no unhandled rejection.
    this.#ended.catch(() => undefined);
  }

  async end(): Promise<void> {
    this.term.abort();
    await this.#ended;
  }

  kinds(): string[] {
    return this.proposals.map((proposal) => proposal.kind);
  }

  readonly #note = (fields: { [field: string]: unknown }, why: string): void => {
    if (fields.event === "coordinator.decided") {
      this.decisions.push({ pos: Number(fields.pos), act: String(fields.act), why });
    }
  };

  #leadership(): Leadership {
    const { reports, reaches, transfers, term } = this;
    return {
      term: 5n,
      signal: term.signal,
      propose: (kind, body) => this.#propose(kind, body),
      reach: (id) => reaches.get(id) ?? { reach: "ok", sinceMs: 10_000 },
      isKnown: () => true,
      leaseMs: () => 0,
      report: (id, epoch) => reports.get(id)?.() ?? Promise.resolve({ pledge: epoch }),
      transfer: (to) => {
        transfers.push(to);
        return Promise.resolve();
      },
      caughtUp: () => true,
      gossip: () => {
        this.#beat += 1n;
        return Promise.resolve(true);
      },
    };
  }

  async #propose(kind: string, body: Readonly<Record<string, unknown>>): Promise<Outcome> {
    this.proposals.push({ kind, body, atMs: monotonicClock.now() });
    await monotonicClock.sleep(1);
    const outcome = this.refuse ?? this.world.apply({ kind, body });
    if (outcome === "ok") this.onApplied(kind);
    return { index: BigInt(this.proposals.length), outcome };
  }

  #view(): ClusterView {
    const { view, members } = this.world;
    const rows = [...members].map(([node_id, { seen }]) => ({
      ...(seen ?? SEEN),
      node_id,
      beat: this.reaches.has(node_id) ? 1n : this.#beat,
    }));
    const full = view.members.map((one) => ({
      ...one,
      data_host: "127.0.0.1",
      data_port: this.ports.get(one.node_id) ?? one.data_port,
    }));
    const requests = view.requests.map((one) => ({
      ...one,
      args: { not_before: null, delay_ms: 0, ...one.args },
    }));
    // Only the columns that the loop reads: the rest of a row is for status().
    return { ...view, members: full, requests, observed: rows } as unknown as ClusterView;
  }
}

/** A port that accepts and then does as told: `silent` says nothing, `starting` answers as PostgreSQL does. */
export async function openPort(
  manner: "silent" | "starting",
): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => {
      if (manner === "starting")
        socket.end(errorResponse("57P03", "the database system is starting up"));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port, close };
}

/** A port where nothing listens. */
export async function closedPort(): Promise<number> {
  const { port, close } = await openPort("silent");
  close();
  return port;
}

function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
