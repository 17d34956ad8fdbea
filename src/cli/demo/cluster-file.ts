/** DIR/cluster.json: how to reach everything, with pids that are kept current. */
import { join } from "node:path";
import type { Config } from "../../config/schema.ts";
import type { Binaries } from "../../postgres/binaries.ts";
import { removeTree, writeDurable } from "../../postgres/files.ts";
import type { Owner } from "../../postgres/owner.ts";
import { postmasterOf } from "../../postgres/process-tree.ts";
import type { DemoNode } from "./layout.ts";
import type { Workers } from "./workers.ts";

const FILE = "cluster.json";

export interface ClusterFile {
  /** Write it if anything in it changed. */
  refresh(): Promise<void>;
}

/** Its being there says that the cluster is ready. */
export function removeClusterFile(dir: string): Promise<void> {
  return removeTree(join(dir, FILE));
}

export function clusterFile(options: {
  readonly dir: string;
  readonly nodes: readonly DemoNode[];
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly workers: Workers;
}): ClusterFile {
  const { dir, nodes, binaries, owner, workers } = options;
  const path = join(dir, FILE);
  let written = "";
  return {
    async refresh() {
      const entries = await Promise.all(
        nodes.map(({ config }) => entry(config, binaries, workers)),
      );
      const text = `${JSON.stringify({ uri: clusterUri(nodes), nodes: entries }, undefined, 2)}\n`;
      if (text === written) return;
      await writeDurable(path, text, { owner });
      written = text;
    },
  };
}

async function entry(config: Config, binaries: Binaries, workers: Workers) {
  const server = async (place: { host: string; port: number; dir: string }) => ({
    uri: uri(config, `${place.host}:${place.port}`),
    port: place.port,
    dir: place.dir,
    pid: (await postmasterOf(place.dir, binaries))?.pid ?? null,
  });
  return {
    ...config.node,
    ...(config.data === undefined ? {} : { data: await server(config.data) }),
    control: await server(config.control),
    worker: { pid: workers.pid(config.node.id) ?? null },
  };
}

/** libpq tries the hosts in turn until one takes writes. */
export function clusterUri(nodes: readonly DemoNode[]): string {
  const hosts = nodes.flatMap(({ config: { data } }) =>
    data === undefined ? [] : [`${data.host}:${data.port}`],
  );
  const [first] = nodes;
  if (first === undefined) throw new Error("a demo without nodes");
  const one = uri(first.config, hosts.join(","));
  return `${one}${one.includes("?") ? "&" : "?"}target_session_attrs=read-write`;
}

export function uri({ superuserPassword = "", tls }: Config, hosts: string): string {
  const secure = tls === undefined ? "" : `?sslmode=verify-full&sslrootcert=${encodeURI(tls.ca)}`;
  return `postgresql://postgres:${encodeURIComponent(superuserPassword)}@${hosts}/postgres${secure}`;
}
