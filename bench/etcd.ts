/** Three members of etcd on this machine, and a client of its gRPC calls put and get, as thin as ours of PostgreSQL. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type ClientHttp2Session, connect } from "node:http2";
import { join } from "node:path";
import { freeDemoPorts } from "../test/support/ports.ts";
import { mustRun } from "../test/support/programs.ts";
import { until } from "../test/support/until.ts";

export interface Etcd {
  readonly version: string;
  /** A connection of its own to the leader. */
  open(): EtcdClient;
  close(): Promise<void>;
}

export interface EtcdClient {
  put(key: string, value: string): Promise<void>;
  /** Linearizable, as etcd's reads are by default. */
  get(key: string): Promise<void>;
  close(): void;
}

/** Undefined when the program is not installed: Debian's package is etcd-server. */
export async function startEtcd(folder: string): Promise<Etcd | undefined> {
  const program = (process.env.PATH ?? "")
    .split(":")
    .map((path) => join(path, "etcd"))
    .find(existsSync);
  if (program === undefined) return undefined;
  const dir = await mkdtemp(join(folder, "etcd-"));
  const base = await freeDemoPorts(3);
  const members = [0, 1, 2].map((i) => ({
    name: `m${i}`,
    client: base + i,
    peer: base + 50 + i,
  }));
  const cluster = members.map(({ name, peer }) => `${name}=http://127.0.0.1:${peer}`).join();
  const processes = members.map(({ name, client, peer }) =>
    spawn(
      program,
      [
        ...["--name", name, "--data-dir", join(dir, name), "--log-level", "error"],
        ...["--listen-client-urls", `http://127.0.0.1:${client}`],
        ...["--advertise-client-urls", `http://127.0.0.1:${client}`],
        ...["--listen-peer-urls", `http://127.0.0.1:${peer}`],
        ...["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
        ...["--initial-cluster", cluster, "--initial-cluster-state", "new"],
      ],
      { stdio: "ignore" },
    ),
  );
  const close = async () => {
    await Promise.all(processes.map(end));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const leader = await leaderOf(members.map(({ client }) => client));
    const version = (await mustRun(program, ["--version"])).split("\n")[0] ?? "etcd";
    return { version, open: () => openClient(leader), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

/** The client port of the member that leads. */
async function leaderOf(ports: readonly number[]): Promise<number> {
  let found: number | undefined;
  await until("etcd has a leader", { limitMs: 30_000 }, async () => {
    for (const port of ports) {
      const status = await fetch(`http://127.0.0.1:${port}/v3/maintenance/status`, {
        method: "POST",
        body: "{}",
        signal: AbortSignal.timeout(1000),
      })
        .then((answer) => answer.json() as Promise<Status>)
        .catch(() => undefined); // it has not begun to listen
      if (status?.leader !== undefined && status.leader === status.header.member_id) found = port;
    }
    return found !== undefined;
  });
  return found as number;
}

interface Status {
  readonly leader?: string;
  readonly header: { readonly member_id: string };
}

function openClient(port: number): EtcdClient {
  const session = connect(`http://127.0.0.1:${port}`);
  return {
    put: (key, value) => call(session, "Put", message([1, key], [2, value])),
    get: (key) => call(session, "Range", message([1, key])),
    close: () => session.close(),
  };
}

/** A protobuf message of strings: (field << 3 | 2), length, bytes. */
function message(...fields: readonly (readonly [number, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([field, text]) => {
      const bytes = Buffer.from(text);
      return [Buffer.from([(field << 3) | 2, ...varint(bytes.length)]), bytes];
    }),
  );
}

function varint(number: number): number[] {
  return number < 128 ? [number] : [(number & 127) | 128, ...varint(number >>> 7)];
}

/** One unary call of gRPC: a frame there, a frame back, the status in the trailers. */
function call(session: ClientHttp2Session, method: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/etcdserverpb.KV/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let status: unknown;
    const note = (headers: Record<string, unknown>) => {
      status = headers["grpc-status"] ?? status;
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("error", reject);
    stream.on("data", () => undefined);
    stream.on("end", () =>
      status === "0" ? resolve() : reject(new Error(`etcd ${method}: status ${status}`)),
    );
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(body.length, 1);
    stream.end(Buffer.concat([frame, body]));
  });
}
