/**
 * Links between nodes, and connections over them: TCP as its users see it (delayed, held back, reset, refused,
 * silent).
 */
import type { Engine, Proc } from "../engine.ts";
import type { Random } from "../random.ts";

export interface LinkState {
  /** How many faults cut it. While any does, nothing passes: what is under way waits, as TCP sends it again. */
  cuts: number;
  minMs: number;
  maxMs: number;
  /** Each lost packet costs a retransmission. */
  loss: number;
  /** A call may arrive twice: the first answer was lost with its connection, and it is asked again. */
  duplicates: number;
}

export type Row = Readonly<Record<string, unknown>>;
export type Answer = readonly Row[] | Error;

export interface Query {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** What listens somewhere. */
export interface Service {
  readonly proc: Proc;
  readonly node: number;
  /** Why this login is refused, or undefined. */
  login(session: Session): Error | undefined;
  execute(session: Session, query: Query, answer: (answer: Answer) => void): void;
  ended(session: Session): void;
}

const RETRANSMIT_MS = 200;

export class Network {
  readonly engine: Engine;
  readonly #random: Random;
  readonly #links = new Map<string, LinkState>();
  readonly #blocked = new Map<string, Channel[]>();
  readonly #services = new Map<string, Service>();
  readonly #hosts = new Map<string, number>();
  /** Nodes without power: nothing answers, not even a refusal. */
  readonly dark = new Set<number>();
  readonly sessions = new Set<Session>();
  base: LinkState = { cuts: 0, minMs: 0.15, maxMs: 0.6, loss: 0, duplicates: 0 };

  constructor(engine: Engine) {
    this.engine = engine;
    this.#random = engine.random("network");
  }

  nameHost(host: string, node: number): void {
    this.#hosts.set(host, node);
  }

  listen(key: string, service: Service): void {
    this.#services.set(key, service);
  }

  unlisten(key: string, service: Service): void {
    if (this.#services.get(key) === service) this.#services.delete(key);
  }

  link(from: number, to: number): LinkState {
    const key = `${from}>${to}`;
    let found = this.#links.get(key);
    if (found === undefined) {
      found = { ...this.base };
      this.#links.set(key, found);
    }
    return found;
  }

  cut(from: number, to: number): void {
    this.link(from, to).cuts += 1;
  }

  /** Ends one fault's cut; another's stays. */
  heal(from: number, to: number): void {
    const link = this.link(from, to);
    link.cuts -= 1;
    if (link.cuts > 0) return;
    for (const channel of this.#blocked.get(`${from}>${to}`)?.splice(0) ?? []) {
      this.engine.after(this.#random.between(0, RETRANSMIT_MS), "network.resent", () =>
        channel.go(),
      );
    }
  }

  /** Waits until the link is whole again. */
  block(channel: Channel): void {
    const key = `${channel.from}>${channel.to}`;
    const blocked = this.#blocked.get(key);
    if (blocked === undefined) this.#blocked.set(key, [channel]);
    else blocked.push(channel);
  }

  isCut(from: number, to: number): boolean {
    return from !== to && this.link(from, to).cuts > 0;
  }

  /** One packet's way, with nothing before or behind it. */
  carry(from: number, to: number, label: string, arrive: () => void): void {
    new Channel(this, from, to).send(label, arrive);
  }

  duplicated(from: number, to: number): boolean {
    const { duplicates } = from === to ? this.base : this.link(from, to);
    return duplicates > 0 && this.#random.chance(duplicates);
  }

  service(key: string): Service | undefined {
    return this.#services.get(key);
  }

  nodeOf(host: string, own: number): number {
    return host.startsWith("/") ? own : (this.#hosts.get(host) ?? own);
  }

  /** Every connection a process serves breaks; its peers learn by a reset, when one can pass. */
  dropServedBy(proc: Proc, silently = false): void {
    for (const session of [...this.sessions]) {
      if (session.server?.proc === proc) session.serverGone(silently);
    }
  }

  delay(from: number, to: number): number {
    if (from === to) return this.#random.between(0.02, 0.08);
    const { minMs, maxMs, loss } = this.link(from, to);
    let wait = this.#random.between(minMs, maxMs);
    for (let lost = RETRANSMIT_MS; loss > 0 && lost < 4000 && this.#random.chance(loss); lost *= 2)
      wait += lost;
    return wait;
  }
}

/** One direction of a connection: what is sent arrives in order, late, and not at all while the link is cut. */
export class Channel {
  readonly #network: Network;
  readonly from: number;
  readonly to: number;
  readonly #queue: {
    readonly ready: number;
    readonly label: string;
    readonly arrive: () => void;
  }[] = [];
  #going = false;

  constructor(network: Network, from: number, to: number) {
    this.#network = network;
    this.from = from;
    this.to = to;
  }

  send(label: string, arrive: () => void): void {
    const { engine } = this.#network;
    const ready = engine.now + this.#network.delay(this.from, this.to);
    this.#queue.push({ ready, label, arrive });
    if (!this.#going) this.#next();
  }

  #next(): void {
    const head = this.#queue[0];
    this.#going = head !== undefined;
    if (head === undefined) return;
    const { engine } = this.#network;
    // Never at one moment with the one before: ties fall at random.
    engine.after(Math.max(head.ready - engine.now, 0.001), head.label, () => this.go());
  }

  /** The first in the queue has made its way, unless there is none. */
  go(): void {
    if (this.#network.isCut(this.from, this.to)) {
      this.#network.block(this);
      return;
    }
    const head = this.#queue.shift();
    this.#next();
    head?.arrive();
  }
}

export class NetworkError extends Error {
  readonly code: string | undefined;
  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly applicationName: string;
}

/** One connection of a client process to a service, from the client's first packet to its end. */
export class Session {
  readonly id: number;
  readonly network: Network;
  readonly client: Proc;
  readonly target: Target;
  readonly to: number;
  readonly key: string;
  server: Service | undefined;
  state: "connecting" | "open" | "closed" = "connecting";
  /** The server's end is gone: what still arrives is answered by a reset. */
  #reset = false;
  readonly #there: Channel;
  readonly #back: Channel;
  #waiting: { resolve: (rows: readonly Row[]) => void; reject: (error: Error) => void }[] = [];
  onLost: (error: Error) => void = () => undefined;
  /** What a server remembers of it. */
  readonly memory: Record<string, unknown> = {};

  constructor(network: Network, client: Proc, target: Target) {
    this.id = network.engine.count("session");
    this.network = network;
    this.client = client;
    this.target = target;
    this.to = network.nodeOf(target.host, client.node);
    this.key = `${target.host}:${target.port}`;
    this.#there = new Channel(network, client.node, this.to);
    this.#back = new Channel(network, this.to, client.node);
    client.onDeath.push(() => this.close());
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: () => resolve(), reject });
      this.#send("network.connect", () => this.#knock());
    });
  }

  query(query: Query): Promise<readonly Row[]> {
    if (this.state !== "open") {
      return Promise.reject(new NetworkError("Client was closed and is not queryable"));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#send("network.ask", () => this.#ask(query));
    });
  }

  /** The client hangs up; what it asked may still be done. */
  close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#fail(new NetworkError("Connection terminated"));
    this.#send("network.bye", () => {
      this.network.sessions.delete(this);
      const { server } = this;
      if (server !== undefined && !server.proc.dead && !this.#reset) {
        this.network.engine.deliver(server.proc, "server.bye", () => server.ended(this));
      }
    });
  }

  /** The server's side ended it: by death, or on purpose. */
  serverGone(silently = false): void {
    this.#reset = true;
    this.network.sessions.delete(this);
    if (!silently) this.#sendReset();
  }

  #knock(): void {
    const { engine, dark } = this.network;
    if (dark.has(this.to)) return;
    const server = this.network.service(this.key);
    if (server === undefined || server.proc.dead) {
      this.#reply(
        "network.refused",
        new NetworkError(`connect ECONNREFUSED ${this.key}`, "ECONNREFUSED"),
      );
      return;
    }
    this.server = server;
    this.network.sessions.add(this);
    // A frozen server's kernel accepts, and nobody answers.
    engine.after(
      engine.random("disk").between(0.3, 1.2),
      "server.login",
      () => this.#reply("network.ready", server.login(this) ?? []),
      server.proc,
    );
  }

  #ask(query: Query): void {
    if (this.#reset) {
      if (!this.network.dark.has(this.to)) this.#sendReset();
      return;
    }
    const server = this.server as Service;
    const { engine } = this.network;
    engine.deliver(server.proc, "server.ask", () =>
      server.execute(this, query, (answer) => this.#answer(answer)),
    );
    if (
      /from peer\.(append_entries|request_vote|pre_vote|heartbeat|report|gossip|submit)\(/.test(
        query.text,
      )
    ) {
      if (this.network.duplicated(this.client.node, this.to)) {
        // Mostly at once, while the first is still under way.
        const later = engine.random("network").next() ** 4 * 400;
        engine.after(
          later,
          "server.asked_twice",
          () => server.execute(this, query, () => undefined),
          server.proc,
        );
      }
    }
  }

  #answer(answer: Answer): void {
    if (!this.#reset) this.#reply("network.answer", answer);
  }

  #send(label: string, arrive: () => void): void {
    this.#there.send(label, arrive);
  }

  #reply(label: string, answer: Answer): void {
    if (this.network.dark.has(this.to)) return;
    this.#back.send(label, () => this.#deliver(answer));
  }

  #deliver(answer: Answer): void {
    const take = () => {
      if (this.state === "closed") return;
      const first = this.#waiting.shift();
      if (this.state === "connecting") {
        if (answer instanceof Error) this.state = "closed";
        else this.state = "open";
      }
      if (answer instanceof Error) first?.reject(answer);
      else first?.resolve(answer);
    };
    this.network.engine.deliver(this.client, "client.answer", take);
  }

  #sendReset(): void {
    const lost = () => {
      if (this.state === "closed") return;
      this.state = "closed";
      const error = new NetworkError("Connection terminated unexpectedly", "ECONNRESET");
      this.#fail(error);
      this.onLost(error);
    };
    this.#back.send("network.reset", () =>
      this.network.engine.deliver(this.client, "client.reset", lost),
    );
  }

  #fail(error: Error): void {
    // The code of a dead process never goes on.
    if (this.client.dead) return;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
