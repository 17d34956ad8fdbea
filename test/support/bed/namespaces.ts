/** One network namespace per node, joined by a bridge in a namespace of its own; partitions by packet rules. */
import { mustRun, run } from "../programs.ts";
import { NotYet, until } from "../until.ts";
import { type Block, type Cut, type Network, type Party, type Port, together } from "./links.ts";

const PORTS: Readonly<Record<Port, number>> = { data: 5432, control: 5482 };

/** Namespaces need no ports of their own: every host has all of them. */
export const NAMESPACE_PORTS = PORTS;

/** `pgr7`: the seventh network; the name of the namespace of its bridge is what claims it. */
async function claim(): Promise<{ readonly name: string; readonly subnet: string }> {
  const taken = (await mustRun("ip", ["-4", "-o", "addr"])) + (await mustRun("ip", ["route"]));
  for (let number = 1; number < 250; number++) {
    const subnet = `10.213.${number}`;
    if (taken.includes(`${subnet}.`)) continue;
    const name = `pgr${number}`;
    const { exitCode } = await run("ip", ["netns", "add", `${name}-sw`]);
    if (exitCode === 0) return { name, subnet };
  }
  throw new Error("no free network between 10.213.1.0/24 and 10.213.249.0/24");
}

/** Take away what a network of this name has left, in any state. */
export async function removeNamespaces(name: string): Promise<void> {
  const listed = await mustRun("ip", ["netns", "list"]);
  const names = listed.split("\n").map((line) => line.split(" ")[0] ?? "");
  for (const one of names) {
    // The bridge's last: it is the claim.
    if (one.startsWith(`${name}-`) && one !== `${name}-sw`)
      await mustRun("ip", ["netns", "del", one]);
  }
  if (names.includes(`${name}-sw`)) await mustRun("ip", ["netns", "del", `${name}-sw`]);
  await until(`namespaces of ${name} are gone`, { limitMs: 10_000 }, async () => {
    const links = await mustRun("ip", ["-o", "link"]);
    if (links.includes(`${name}c`)) throw new NotYet(`${name}c is still there`);
    return true;
  });
}

export interface NamespaceNetwork extends Network {
  readonly name: string;
}

/** Hosts 1…count at `.1`, `.2`, …; clients are this process, at `.254`. */
export async function openNamespaces(count: number): Promise<NamespaceNetwork> {
  const { name, subnet } = await claim();
  const nodes = Array.from({ length: count }, (_, index) => index + 1);
  try {
    await build(name, subnet, nodes);
  } catch (error) {
    await removeNamespaces(name);
    throw error;
  }
  return new Namespaces(name, subnet);
}

async function build(name: string, subnet: string, nodes: readonly number[]): Promise<void> {
  const ip = (args: string) => mustRun("ip", args.split(" "));
  const sw = `${name}-sw`;
  await ip(`-n ${sw} link add br0 type bridge`);
  await ip(`-n ${sw} link set br0 up`);
  // Packets of a bridge must not meet rules that are meant for routers; absent where the module is not loaded.
  await run("ip", ["netns", "exec", sw, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0"]);
  for (const node of nodes) {
    const own = `${name}-${node}`;
    await ip(`netns add ${own}`);
    await ip(`-n ${sw} link add p${node} type veth peer name eth0 netns ${own}`);
    await ip(`-n ${sw} link set p${node} master br0 up`);
    await ip(`-n ${own} addr add ${subnet}.${node}/24 dev eth0`);
    await ip(`-n ${own} link set eth0 up`);
    await ip(`-n ${own} link set lo up`);
    await nft(own, ["add table inet bed"]);
  }
  await ip(`-n ${sw} link add p0 type veth peer name ${name}c netns 1`);
  await ip(`-n ${sw} link set p0 master br0 up`);
  await ip(`addr add ${subnet}.254/24 dev ${name}c`);
  await ip(`link set ${name}c up`);
}

async function nft(namespace: string, lines: readonly string[]): Promise<string> {
  const args = [`--net=/run/netns/${namespace}`, "nft", "-j", lines.join("\n")];
  return await mustRun("nsenter", args);
}

class Namespaces implements NamespaceNetwork {
  readonly kind = "namespaces";
  readonly name: string;
  private readonly subnet: string;
  private cuts = 0;

  constructor(name: string, subnet: string) {
    this.name = name;
    this.subnet = subnet;
  }

  get clients(): string {
    return `host all all ${this.subnet}.0/24 scram-sha-256`;
  }

  address(node: number): string {
    return `${this.subnet}.${node}`;
  }

  listen(node: number): string {
    return `${this.address(node)},127.0.0.1`;
  }

  enter(node: number): readonly string[] {
    return ["nsenter", `--net=/run/netns/${this.name}-${node}`, "--"];
  }

  async cut(cuts: readonly Cut[]): Promise<Block> {
    return together(await Promise.all(cuts.map((one) => this.cutOne(one))));
  }

  /** One chain and one counter per cut: they come and go without regard to others. */
  private async cutOne(cut: Cut): Promise<Block> {
    this.cuts += 1;
    const id = `c${this.cuts}`;
    const inbound = cut.to !== "clients";
    const namespace = `${this.name}-${inbound ? cut.to : cut.from}`;
    const other = this.addressOf(inbound ? cut.from : cut.to);
    const where = inbound ? `ip saddr ${other}` : `ip daddr ${other}`;
    const rules = matches(cut).map(
      (match) => `add rule inet bed ${id} ${where} ${match} counter name ${id} ${verdict(cut)}`,
    );
    const hook = `type filter hook ${inbound ? "input" : "output"} priority 0; policy accept;`;
    await nft(namespace, [
      `add counter inet bed ${id}`,
      `add chain inet bed ${id} { ${hook} }`,
      ...rules,
    ]);
    return {
      hits: async () => {
        const text = await nft(namespace, [`list counter inet bed ${id}`]);
        return Number(/"packets":\s*(\d+)/.exec(text)?.[1] ?? 0);
      },
      lift: async () => {
        await nft(namespace, [
          `flush chain inet bed ${id}`,
          `delete chain inet bed ${id}`,
          `delete counter inet bed ${id}`,
        ]);
      },
    };
  }

  private addressOf(party: Party): string {
    return `${this.subnet}.${party === "clients" ? 254 : party}`;
  }

  async unplug(node: number): Promise<Block> {
    const link = ["-n", `${this.name}-sw`, "link"];
    await mustRun("ip", [...link, "set", `p${node}`, "down"]);
    return {
      hits: async () => {
        const text = await mustRun("ip", [...link, "show", `p${node}`]);
        return /state DOWN/.test(text) ? 1 : 0;
      },
      lift: async () => void (await mustRun("ip", [...link, "set", `p${node}`, "up"])),
    };
  }

  close(): Promise<void> {
    return removeNamespaces(this.name);
  }
}

/** A service's traffic has its port on one end, whoever called whom. */
function matches({ port, how }: Cut): string[] {
  const some =
    typeof how === "string"
      ? ""
      : "loss" in how
        ? `numgen random mod 100 < ${how.loss}`
        : `meta length >= ${how.long}`;
  const protocol = how === "reset" ? "meta l4proto tcp" : "";
  if (port === undefined) return [`${protocol} ${some}`];
  return [`tcp dport ${PORTS[port]} ${some}`, `tcp sport ${PORTS[port]} ${some}`];
}

function verdict({ how }: Cut): string {
  return how === "reset" ? "reject with tcp reset" : "drop";
}
