/** From node.yaml and the environment to a Config: parsed, checked, absolute, or an error that says why. */
import { readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { parseDocument } from "yaml";
import { readTls, type TlsSubject } from "./certificates.ts";
import { contradictions } from "./checks.ts";
import { clusterIdOf, NO_CLUSTER } from "./cluster-id.ts";
import { type Environment, override } from "./environment.ts";
import { readIdentity } from "./identity.ts";
import { ConfigError, type Problem, problemsOf } from "./problems.ts";
import { type Config, ConfigFile, type PeerConfig, TIMING_PRESETS } from "./schema.ts";

export { clusterIdOf } from "./cluster-id.ts";
export { ConfigError, type Problem } from "./problems.ts";

const MIN_PEER_SECRET = 16;
const MIN_SUPERUSER_PASSWORD = 8;

/**
 * Read one node's configuration. Throws ConfigError with every problem it found: key, value and
 * expectation; never a secret.
 */
export async function loadConfig(path: string, env: Environment = process.env): Promise<Config> {
  const file = resolve(path);
  const { input, from, problems } = override(await readYaml(file), env);
  const parsed = ConfigFile.safeParse(input);
  const wrong = parsed.success ? [] : problemsOf(parsed.error, input);
  if (!parsed.success) throw new ConfigError(file, [...problems, ...wrong.map(origin(from))]);
  const absolute = absolutePaths(parsed.data, dirname(file));
  const against = contradictions(absolute).map(origin(from));
  const secrets = await readSecrets(absolute);
  const { problems: tls } =
    absolute.tls === undefined
      ? { problems: [] }
      : await readTls(absolute.tls, tlsSubject(absolute));
  const files = [...secrets.problems, ...tls].map(origin(from));
  const all = [...problems, ...against, ...files];
  if (all.length > 0) throw new ConfigError(file, all);
  const clusterId = await clusterIdFor(absolute, dirname(file));
  return build(absolute, dirname(file), { ...secrets, clusterId });
}

async function readYaml(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const expected = `a readable file: ${error.code === "ENOENT" ? "there is none" : error.message}`;
    throw new ConfigError(file, [{ key: "config", value: file, expected, from: "--config" }]);
  });
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) {
    const [at] = error.linePos ?? [];
    const [what] = error.message.split(" at line ");
    const expected = `YAML; line ${at?.line ?? "?"}, column ${at?.col ?? "?"}: ${what}`;
    throw new ConfigError(file, [{ key: "file", expected }]);
  }
  const content: unknown = document.toJS();
  if (typeof content === "object" && content !== null && !Array.isArray(content)) {
    return content as Record<string, unknown>;
  }
  throw new ConfigError(file, [{ key: "file", expected: "keys and values: cluster, node, …" }]);
}

/** Name the environment variable a value came from. */
function origin(from: ReadonlyMap<string, string>): (problem: Problem) => Problem {
  return (problem) => {
    const variable = from.get(problem.key);
    return variable === undefined ? problem : { ...problem, from: variable };
  };
}

function absolutePaths(file: ConfigFile, dir: string): ConfigFile {
  const at = (path: string) => (isAbsolute(path) ? resolve(path) : resolve(dir, path));
  const optional = <K extends string>(key: K, path: string | undefined) =>
    path === undefined ? {} : { [key]: at(path) };
  return {
    ...file,
    ...(file.data === undefined ? {} : { data: { ...file.data, dir: at(file.data.dir) } }),
    control: { ...file.control, dir: at(file.control.dir) },
    peer_password_file: at(file.peer_password_file),
    ...optional("superuser_password_file", file.superuser_password_file),
    ...(file.tls === undefined
      ? {}
      : {
          tls: { ...file.tls, ca: at(file.tls.ca), cert: at(file.tls.cert), key: at(file.tls.key) },
        }),
    ...(file.bin_dir === "embedded" ? {} : optional("bin_dir", file.bin_dir)),
  };
}

interface Secrets {
  readonly peerSecret: string;
  readonly superuserPassword: string | undefined;
  readonly problems: readonly Problem[];
}

async function readSecrets(file: ConfigFile): Promise<Secrets> {
  const problems: Problem[] = [];
  const read = async (key: "peer_password_file" | "superuser_password_file", least: number) => {
    const path = file[key];
    if (path === undefined) return undefined;
    const secret = await readSecret(path, least);
    if (typeof secret === "string") return secret;
    problems.push({ key, value: path, expected: secret.expected });
    return undefined;
  };
  const peerSecret = (await read("peer_password_file", MIN_PEER_SECRET)) ?? "";
  const superuserPassword = await read("superuser_password_file", MIN_SUPERUSER_PASSWORD);
  return { peerSecret, superuserPassword, problems };
}

/** One line of printable ASCII, which every SCRAM implementation treats alike. */
async function readSecret(path: string, least: number): Promise<string | { expected: string }> {
  try {
    const { mode } = await stat(path);
    const text = (await readFile(path, "utf8")).replace(/\r?\n$/, "");
    const octal = `0${(mode & 0o777).toString(8)}`;
    if ((mode & 0o007) !== 0) {
      return { expected: `a file that others cannot read: its mode is ${octal}, chmod 600 it` };
    }
    if (text.length < least) {
      return { expected: `at least ${least} characters in it: there are ${text.length}` };
    }
    return /^[\x20-\x7e]+$/.test(text) ? text : { expected: "one line of printable ASCII in it" };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { expected: `a readable file: ${code === "ENOENT" ? "there is none" : message}` };
  }
}

/** Whom this node's certificate must name: its role, and where members reach it. */
export function tlsSubject(
  config: Pick<Config, "node"> & {
    readonly control: { readonly host: string };
    readonly data?: { readonly host: string } | undefined;
  },
): TlsSubject {
  const { node, control, data } = config;
  const hosts: [string, string][] = [["control.host", control.host]];
  if (data !== undefined) hosts.push(["data.host", data.host]);
  return { nodeId: node.id, hosts };
}

async function clusterIdFor(file: ConfigFile, dir: string): Promise<string> {
  const identity = await readIdentity(dir);
  if (identity !== undefined) return identity.clusterId;
  return file.peers === undefined ? NO_CLUSTER : clusterIdOf(file.cluster, file.peers);
}

function build(
  file: ConfigFile,
  dir: string,
  { clusterId, ...secrets }: Secrets & { readonly clusterId: string },
): Config {
  const peers = file.peers?.map(peerOf);
  const syncMode = file.sync.mode ?? (peers && usualMode(peers));
  const preset = TIMING_PRESETS[file.timing.preset];
  const { data, control } = file;
  return {
    cluster: file.cluster,
    clusterId,
    node: file.node,
    dir,
    ...(data === undefined
      ? {}
      : { data: { ...data, listen: data.listen ?? data.host, settings: texts(data.settings) } }),
    control: { ...control, listen: control.listen ?? control.host },
    peers: peers ?? [],
    ...(file.bin_dir === undefined ? {} : { binDir: file.bin_dir }),
    runAs: file.run_as,
    peerSecret: secrets.peerSecret,
    ...(secrets.superuserPassword === undefined
      ? {}
      : { superuserPassword: secrets.superuserPassword }),
    ...(file.tls === undefined ? {} : { tls: file.tls }),
    ...(syncMode === undefined ? {} : { syncMode }),
    strictReads: file.strict_reads,
    watchdog: file.watchdog,
    timing: {
      heartbeatMs: file.timing.heartbeat_ms ?? preset.heartbeat_ms,
      electionMs: file.timing.election_ms ?? preset.election_ms,
      probeMs: file.timing.probe_ms ?? preset.probe_ms,
      silentMs: file.timing.silent_ms ?? preset.silent_ms,
      leaseMs: file.timing.lease_ms ?? preset.lease_ms,
    },
    raft: { maxLogEntries: file.raft.max_log_entries, maxLogBytes: file.raft.max_log_bytes },
    logLevel: file.log_level,
  };
}

/** Two data members cannot lose one and still confirm commits: beside a witness the survivor goes on alone. */
function usualMode(peers: readonly PeerConfig[]): Config["syncMode"] {
  const data = peers.filter(({ dataPort }) => dataPort !== undefined).length;
  return data === 2 && peers.length > data ? "available" : "quorum";
}

function peerOf(peer: NonNullable<ConfigFile["peers"]>[number]): PeerConfig {
  const { id, name, host, port, data_port: dataPort } = peer;
  if (dataPort === undefined) return { id, name, host, port };
  return { id, name, host, port, dataHost: peer.data_host ?? host, dataPort };
}

/** As postgresql.conf wants them: true becomes on. */
function texts(
  settings: Readonly<Record<string, string | number | boolean>>,
): Record<string, string> {
  const text = (value: string | number | boolean) =>
    typeof value === "boolean" ? (value ? "on" : "off") : String(value);
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, text(value)]));
}
