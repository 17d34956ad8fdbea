/**
 * Links without privileges: a node is reached at an address where we listen, its servers listen at another. Who calls
 * is read from the start-up packet (members log in under their own role), so that every link can be cut by itself.
 * Delay, jitter, rate and half-open links, which packet rules cannot make, are made here.
 */
import { createServer, connect as openSocket, type Server, type Socket } from "node:net";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { Random } from "../random.ts";
import type { Block, Cut, Network, Party, Port, Shape } from "./links.ts";

export interface ProxyNetwork extends Network {
  readonly kind: "proxy";
  shape(shapes: readonly Shape[]): Block;
}

/** Advertised address of a node; its servers listen 100 further. */
const outside = (node: number) => `127.0.41.${node}`;
const inside = (node: number) => `127.0.41.${node + 100}`;

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
/** More than any start-up packet. */
const FIRST_LIMIT = 10_000;

export async function openProxy(
  count: number,
  ports: Readonly<Record<Port, number>>,
  seed: number,
): Promise<ProxyNetwork> {
  const proxy = new LinkProxy(ports, seed);
  for (let node = 1; node <= count; node++) {
    for (const port of ["control", "data"] as const) await proxy.listenFor(node, port);
  }
  return proxy;
}

interface Rule<T> {
  readonly what: T;
  hits: number;
}

class LinkProxy implements ProxyNetwork {
  readonly kind = "proxy";
  readonly clients = "host all all 127.0.0.0/8 scram-sha-256";
  private readonly ports: Readonly<Record<Port, number>>;
  private readonly random: Random;
  private readonly servers: Server[] = [];
  private readonly links = new Set<Link>();
  private cuts: Rule<Cut>[] = [];
  private shapes: Rule<Shape>[] = [];

  constructor(ports: Readonly<Record<Port, number>>, seed: number) {
    this.ports = ports;
    this.random = new Random(`${seed}/links`);
  }

  address = outside;
  listen = inside;
  enter = () => [];

  listenFor(node: number, port: Port): Promise<void> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        const link = new Link(socket, node, port, {
          target: { host: inside(node), port: this.ports[port] },
          cut: (from, to) => this.cutOf(from, to, port),
          shape: (from, to) => this.shapeOf(from, to, port),
          random: this.random,
          over: () => this.links.delete(link),
        });
        this.links.add(link);
      });
      server.once("error", reject);
      server.listen(this.ports[port], outside(node), () => resolve());
      this.servers.push(server);
    });
  }

  private cutOf(from: Party, to: Party, port: Port): Rule<Cut> | undefined {
    return this.cuts.find(({ what }) => fits(what, from, to, port));
  }

  private shapeOf(from: Party, to: Party, port: Port): Rule<Shape> | undefined {
    return this.shapes.find(({ what }) => fits(what, from, to, port));
  }

  async cut(cuts: readonly Cut[]): Promise<Block> {
    const unable = cuts.find(({ how }) => typeof how !== "string");
    if (unable !== undefined) throw new Error(`a proxy sees no packets: ${JSON.stringify(unable)}`);
    const rules = cuts.map((what) => ({ what, hits: 0 }));
    this.cuts = [...this.cuts, ...rules];
    for (const link of this.links) link.look();
    return {
      hits: async () => rules.reduce((sum, { hits }) => sum + hits, 0),
      lift: async () => {
        this.cuts = this.cuts.filter((rule) => !rules.includes(rule));
        for (const link of this.links) link.look();
      },
    };
  }

  shape(shapes: readonly Shape[]): Block {
    const rules = shapes.map((what) => ({ what, hits: 0 }));
    this.shapes = [...this.shapes, ...rules];
    return {
      hits: async () => rules.reduce((sum, { hits }) => sum + hits, 0),
      lift: async () => {
        this.shapes = this.shapes.filter((rule) => !rules.includes(rule));
      },
    };
  }

  unplug(node: number): Promise<Block> {
    const everyone: Party[] = ["clients", ...Array.from({ length: 16 }, (_, index) => index + 1)];
    const others = everyone.filter((party) => party !== node);
    return this.cut(
      others.flatMap((other) => [
        { from: other, to: node, how: "drop" as const },
        { from: node, to: other, how: "drop" as const },
      ]),
    );
  }

  async close(): Promise<void> {
    for (const link of [...this.links]) link.end();
    await Promise.all(
      this.servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }
}

function fits(
  what: Pick<Cut, "from" | "to" | "port">,
  from: Party,
  to: Party,
  port: Port,
): boolean {
  return what.from === from && what.to === to && (what.port === undefined || what.port === port);
}

interface LinkOptions {
  readonly target: { readonly host: string; readonly port: number };
  readonly cut: (from: Party, to: Party) => Rule<Cut> | undefined;
  readonly shape: (from: Party, to: Party) => Rule<Shape> | undefined;
  readonly random: Random;
  readonly over: () => void;
}

/** One relayed connection. */
class Link {
  private readonly options: LinkOptions;
  private readonly caller: Socket;
  private readonly node: number;
  private readonly target: Socket;
  private from: Party = "clients";
  private first: Buffer = Buffer.alloc(0);
  private known = false;
  private readonly held: (() => void)[] = [];
  private carried = 0;

  constructor(caller: Socket, node: number, _port: Port, options: LinkOptions) {
    this.caller = caller;
    this.node = node;
    this.options = options;
    this.target = openSocket({ ...options.target, allowHalfOpen: true });
    caller.on("data", (data: Buffer) => this.fromCaller(data));
    this.target.on("data", (data: Buffer) => this.relay(data, node, this.from, caller));
    // What breaks or ends on one side breaks or ends on the other, unless the link is cut: then nobody hears of it.
    for (const [socket, other] of [
      [caller, this.target],
      [this.target, caller],
    ] as const) {
      socket.setNoDelay(true);
      socket.on("error", () => this.inOrder(other, 0, () => reset(other)));
      socket.on("end", () => this.inOrder(other, 0, () => other.end()));
      socket.on("close", () => this.closed());
    }
  }

  private closed(): void {
    if (this.caller.destroyed && this.target.destroyed) this.options.over();
  }

  /** Until the start-up packet has come, nothing is passed on. */
  private fromCaller(data: Buffer): void {
    if (this.known) {
      this.relay(data, this.from, this.node, this.target);
      return;
    }
    this.first = Buffer.concat([this.first, data]);
    if (this.first.length < 8) return;
    const size = this.first.readUInt32BE(0);
    const code = this.first.readUInt32BE(4);
    if (size === 8 && (code === SSL_REQUEST || code === GSS_REQUEST)) {
      this.first = this.first.subarray(8);
      this.caller.write("N");
      if (this.first.length > 0) this.fromCaller(Buffer.alloc(0));
      return;
    }
    if (this.first.length < size && size < FIRST_LIMIT) return;
    this.from = code === CANCEL_REQUEST ? "clients" : callerOf(this.first.subarray(8, size));
    this.known = true;
    this.relay(this.first, this.from, this.node, this.target);
    this.first = Buffer.alloc(0);
  }

  private relay(data: Buffer, from: Party, to: Party, into: Socket): void {
    const shape = this.options.shape(from, to);
    const { delayMs = 0, jitterMs = 0, bytesPerSecond, resetAfter } = shape?.what ?? {};
    if (shape !== undefined) shape.hits += 1;
    this.carried += data.length;
    if (resetAfter !== undefined && this.carried > resetAfter) {
      this.end();
      return;
    }
    const rate = bytesPerSecond === undefined ? 0 : (data.length / bytesPerSecond) * 1000;
    const wait = delayMs + this.options.random.next() * jitterMs + rate;
    this.inOrder(into, wait, () => void into.write(data));
  }

  private readonly queues = new Map<Socket, Promise<void>>();

  /** What goes one way never overtakes what went before it, be it the end: TCP would not let it. */
  private inOrder(into: Socket, waitMs: number, act: () => void): void {
    const pass = () => this.later(into === this.target, act);
    const before = this.queues.get(into);
    if (before === undefined && waitMs === 0) {
      pass();
      return;
    }
    const due = monotonicClock.now() + waitMs;
    const passed = (before ?? Promise.resolve()).then(async () => {
      await monotonicClock.sleep(Math.max(0, due - monotonicClock.now()));
      pass();
      if (this.queues.get(into) === passed) this.queues.delete(into);
    });
    this.queues.set(into, passed);
  }

  /** At once, or when the direction is whole again: TCP sends it again until then. */
  private later(outward: boolean, act: () => void): void {
    const cut = outward
      ? this.options.cut(this.from, this.node)
      : this.options.cut(this.node, this.from);
    if (cut !== undefined) cut.hits += 1;
    if (cut === undefined) act();
    else if (cut.what.how === "reset") this.end();
    else this.held.push(() => this.later(outward, act));
  }

  /** The rules have changed. */
  look(): void {
    const cuts = [this.options.cut(this.from, this.node), this.options.cut(this.node, this.from)];
    const reset = cuts.find((cut) => cut?.what.how === "reset");
    if (reset === undefined || !this.known) {
      for (const act of this.held.splice(0)) act();
      return;
    }
    reset.hits += 1;
    this.end();
  }

  end(): void {
    reset(this.caller);
    reset(this.target);
    this.options.over();
  }
}

/** One that is not connected yet would wait for that first. */
function reset(socket: Socket): void {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

/** `user` of a start-up packet's parameters; members have a role each. */
function callerOf(parameters: Buffer): Party {
  const words = parameters.toString("latin1").split("\0");
  const user = words[words.indexOf("user") + 1] ?? "";
  const node = /^pgreplica_node_(\d+)$/.exec(user)?.[1];
  return node === undefined ? "clients" : Number(node);
}
