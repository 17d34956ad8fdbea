/** What a schema cannot see: one node's file against itself and against its list of members. */
import { isAbsolute, relative } from "node:path";
import type { Problem } from "./problems.ts";
import { type ConfigFile, TIMING_PRESETS } from "./schema.ts";

/** Settings we decide ourselves: a file that sets them would be ignored, or break a promise. */
const RESERVED = new Set([
  "archive_cleanup_command",
  "cluster_name",
  "config_file",
  "data_directory",
  "fsync",
  "full_page_writes",
  "hba_file",
  "hot_standby",
  "ident_file",
  "listen_addresses",
  "max_replication_slots",
  "max_wal_senders",
  "port",
  "primary_conninfo",
  "primary_slot_name",
  "recovery_target_timeline",
  "restart_after_crash",
  "restore_command",
  "synchronous_standby_names",
  "unix_socket_directories",
  "wal_level",
  "wal_log_hints",
]);

/** With `tls` the data server shows the node's certificate: another one members would refuse. */
const TLS_RESERVED = new Set(["ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file"]);

/** Every contradiction in `file`, whose paths are absolute already. */
export function contradictions(file: ConfigFile): Problem[] {
  return [
    ...ownEntry(file),
    ...duplicates(file),
    ...folders(file),
    ...reserved(file),
    ...timing(file),
  ];
}

function ownEntry({ peers, ...file }: ConfigFile): Problem[] {
  if (peers === undefined) return [];
  const index = peers.findIndex((peer) => peer.id === file.node.id);
  const own = peers[index];
  if (own === undefined) {
    const ids = peers.map((peer) => peer.id).join(", ");
    const expected = `an id that stands in peers (there are ${ids}): every initial member is listed, this one too`;
    return [{ key: "node.id", value: file.node.id, expected }];
  }
  const pairs = [
    ["name", own.name, "node.name", file.node.name],
    ["host", own.host, "control.host", file.control.host],
    ["port", own.port, "control.port", file.control.port],
    ["data_port", own.data_port, "data.port", file.data?.port],
    ...(own.data_port === undefined || file.data === undefined
      ? []
      : [["data_host", own.data_host ?? own.host, "data.host", file.data.host] as const]),
  ] as const;
  return pairs
    .filter(([, said, , own]) => said !== own)
    .map(([key, said, ownKey, own]) => ({
      key: `peers.${index}.${key}`,
      ...(said === undefined ? { found: "missing" } : { value: said }),
      expected: own === undefined ? `nothing: there is no ${ownKey}` : `${own}, as ${ownKey} says`,
    }));
}

function duplicates(file: ConfigFile): Problem[] {
  const seen = new Map<string, string>();
  const twice = (kind: string, key: string, value: string | number): Problem[] => {
    const same = `${kind} ${value}`.toLowerCase();
    const first = seen.get(same);
    if (first === undefined) seen.set(same, key);
    return first === undefined ? [] : [{ key, value, expected: `another one: ${first} has it` }];
  };
  return (file.peers ?? []).flatMap((peer, index) => {
    const at = `peers.${index}`;
    const dataHost = peer.data_host ?? peer.host;
    return [
      ...twice("id", `${at}.id`, peer.id),
      ...twice("name", `${at}.name`, peer.name),
      ...twice("address", `${at}.port`, `${peer.host}:${peer.port}`),
      ...(peer.data_port === undefined
        ? []
        : twice("address", `${at}.data_port`, `${dataHost}:${peer.data_port}`)),
    ];
  });
}

function folders(file: ConfigFile): Problem[] {
  if (file.data === undefined) return [];
  const problems: Problem[] = [];
  if (file.data.port === file.control.port) {
    const expected = "another port than data.port: both servers run on this host";
    problems.push({ key: "control.port", value: file.control.port, expected });
  }
  const control = file.control.dir;
  if (inside(file.data.dir, control) || inside(control, file.data.dir)) {
    const expected = `a folder apart from data.dir (${file.data.dir})`;
    problems.push({ key: "control.dir", value: control, expected });
  }
  return problems;
}

function inside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || !(way.startsWith("..") || isAbsolute(way));
}

function reserved(file: ConfigFile): Problem[] {
  const isReserved = (name: string) =>
    RESERVED.has(name) || (file.tls !== undefined && TLS_RESERVED.has(name));
  return Object.keys(file.data?.settings ?? {})
    .filter((name) => isReserved(name.toLowerCase()))
    .map((name) => ({
      key: `data.settings.${name}`,
      found: "reserved",
      expected: "no such setting: pg_replica sets it itself",
    }));
}

function timing({ timing: own }: ConfigFile): Problem[] {
  const preset = TIMING_PRESETS[own.preset];
  const heartbeat = own.heartbeat_ms ?? preset.heartbeat_ms;
  const election = own.election_ms ?? preset.election_ms;
  const lease = own.lease_ms ?? preset.lease_ms;
  const least = [
    { key: "timing.election_ms", value: election, times: 3, of: "heartbeat_ms", ms: heartbeat },
    // A change of leaders is no reason to fence a primary: it takes up to 1.5 election timeouts.
    { key: "timing.lease_ms", value: lease, times: 2, of: "election_ms", ms: election },
  ];
  return least
    .filter(({ value, times, ms }) => value < times * ms)
    .map(({ key, value, times, of, ms }) => ({
      key,
      value,
      expected: `at least ${times} times ${of} (${ms})`,
    }));
}
