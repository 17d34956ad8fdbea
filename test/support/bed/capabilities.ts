/** What this host lets us do to a cluster: each ability is tried, not guessed, and what is missing says why. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { run } from "../programs.ts";

/** A: everything. B: root with namespaces, packet rules and loop devices. C: none of that, our own proxy instead. */
export type HostClass = "A" | "B" | "C";

export const CAPABILITIES = [
  "root",
  "namespaces",
  "packet rules",
  "loop volumes",
  "freezer",
  "strace",
  "libfaketime",
  "time namespaces",
  "cgroup cpu",
  "cgroup memory",
  "tc netem",
  "device mapper",
  "watchdog",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

export interface Host {
  readonly class: HostClass;
  has(capability: Capability): boolean;
  /** Why it is missing; undefined when it is there. */
  missing(capability: Capability): string | undefined;
  /** One line for people. */
  describe(): string;
}

export const FREEZER = "/sys/fs/cgroup/freezer";
export const CPU = "/sys/fs/cgroup/cpu";
export const MEMORY = "/sys/fs/cgroup/memory";

type Try = () => Promise<string | undefined> | string | undefined;

const needed = (program: string, from = program) =>
  `${program} is not installed (apt-get install ${from})`;

async function installed(program: string, from = program): Promise<string | undefined> {
  const { exitCode } = await run("sh", ["-c", `command -v ${program}`]);
  return exitCode === 0 ? undefined : needed(program, from);
}

/** The first complaint, or undefined when all commands ended well. */
async function works(...commands: string[][]): Promise<string | undefined> {
  for (const [program = "", ...args] of commands) {
    const result = await run(program, args).catch((error: Error) => error);
    if (result instanceof Error) return result.message;
    if (result.exitCode === 0) continue;
    const [said = `exit ${result.exitCode}`] = result.stderr.trim().split("\n");
    return `${program}: ${said}`;
  }
  return undefined;
}

const scratch = `pgr-try-${process.pid}`;

const TRIES: Readonly<Record<Capability, Try>> = {
  root: () => (process.getuid?.() === 0 ? undefined : "not root"),
  namespaces: () =>
    works(["ip", "netns", "add", scratch], ["ip", "netns", "exec", scratch, "true"]),
  "packet rules": async () =>
    (await installed("nft", "nftables")) ??
    (await works(
      ["ip", "netns", "exec", scratch, "nft", "add table inet bed"],
      [
        ...["ip", "netns", "exec", scratch, "nft"],
        "add chain inet bed a { type filter hook input priority 0; policy accept; }",
      ],
      [
        ...["ip", "netns", "exec", scratch, "nft"],
        "add rule inet bed a numgen random mod 100 < 5 counter drop",
      ],
    )),
  "loop volumes": async () =>
    (await installed("mkfs.ext4", "e2fsprogs")) ?? (await works(["losetup", "-f"])),
  freezer: () => (existsSync(`${FREEZER}/tasks`) ? undefined : `no ${FREEZER}`),
  strace: () => installed("strace"),
  libfaketime: async () =>
    (await fakeTimeLibrary()) === undefined ? needed("libfaketime") : undefined,
  "time namespaces": () => works(["unshare", "--time", "--boottime", "60", "true"]),
  "cgroup cpu": () => (existsSync(`${CPU}/cpu.cfs_quota_us`) ? undefined : `no ${CPU}`),
  "cgroup memory": () =>
    existsSync(`${MEMORY}/memory.limit_in_bytes`) ? undefined : `no ${MEMORY}`,
  "tc netem": () =>
    works(
      ["ip", "netns", "exec", scratch, "ip", "link", "set", "lo", "up"],
      ["ip", "netns", "exec", scratch, "tc", "qdisc", "add", "dev", "lo", "root", "netem"],
    ),
  "device mapper": () => (existsSync("/dev/mapper/control") ? undefined : "no /dev/mapper/control"),
  watchdog: () => (existsSync("/dev/watchdog") ? undefined : "no /dev/watchdog"),
};

/** What each ability stands on: tried only when that is there. */
const AFTER: Partial<Record<Capability, Capability>> = {
  namespaces: "root",
  "packet rules": "namespaces",
  "loop volumes": "root",
  "time namespaces": "root",
  freezer: "root",
  "cgroup cpu": "root",
  "cgroup memory": "root",
  "tc netem": "namespaces",
  "device mapper": "root",
};

/** Where libfaketime lies, or undefined. */
export async function fakeTimeLibrary(): Promise<string | undefined> {
  for (const base of ["/usr/lib", "/usr/local/lib"]) {
    const names = await readdir(base).catch(() => []);
    const folders = [base, ...names.map((name) => `${base}/${name}`)];
    for (const folder of folders) {
      const path = `${folder}/faketime/libfaketime.so.1`;
      if (existsSync(path)) return path;
    }
  }
  return undefined;
}

let probed: Promise<Host> | undefined;

/** Try everything, once for this process. */
export function probeHost(): Promise<Host> {
  probed ??= probe();
  return probed;
}

async function probe(): Promise<Host> {
  const missing = new Map<Capability, string>();
  for (const name of CAPABILITIES) {
    const after = AFTER[name];
    const why = after !== undefined && missing.has(after) ? `needs ${after}` : await TRIES[name]();
    if (why !== undefined) missing.set(name, why);
  }
  if (!missing.has("root")) await run("ip", ["netns", "del", scratch]);
  const has = (name: Capability) => !missing.has(name);
  const basic = (["namespaces", "packet rules", "loop volumes"] as const).every(has);
  const full = (["tc netem", "device mapper", "watchdog"] as const).every(has);
  const hostClass = basic ? (full ? "A" : "B") : "C";
  return {
    class: hostClass,
    has,
    missing: (name) => missing.get(name),
    describe: () => {
      const absent = [...missing].map(([name, why]) => `${name} (${why})`);
      const rest = absent.length === 0 ? "nothing is missing" : `missing: ${absent.join(", ")}`;
      return `host class ${hostClass}; ${rest}`;
    },
  };
}
