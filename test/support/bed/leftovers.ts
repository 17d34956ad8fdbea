/** What a test bed must not leave behind, and how a bed whose process died is taken away by the next one. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processesBelow } from "../cluster.ts";
import { describeProcess, readProcess, signalTree, untilGone } from "../processes.ts";
import { mustRun } from "../programs.ts";
import { removeNamespaces } from "./namespaces.ts";
import { mountsBelow, unmount } from "./volumes.ts";

/** Stands in a bed's folder as long as something of it may be in use. */
const CLAIM = "bed.json";
const PREFIX = "pg-replica-bed-";

interface Claim {
  readonly pid: number;
  readonly startTicks: string;
  /** Of its namespaces, if it has any. */
  readonly network: string | undefined;
}

export async function writeClaim(top: string, network: string | undefined): Promise<void> {
  const startTicks = readProcess(process.pid)?.startTicks ?? "";
  const claim: Claim = { pid: process.pid, startTicks, network };
  await writeFile(join(top, CLAIM), JSON.stringify(claim));
}

/** End every process, mount and namespace of a bed; its folder stays. */
export async function takeDown(top: string, network: string | undefined): Promise<void> {
  const killed = signalTree(() => processesBelow(top), "SIGKILL");
  signalTree(() => killed, "SIGCONT"); // a frozen one dies as well, but says so sooner
  await untilGone(killed, 15_000);
  for (const path of await mountsBelow(top)) await unmount(path);
  if (network !== undefined) await removeNamespaces(network);
  await rm(join(top, CLAIM), { force: true });
}

/** What is left of a bed, in words; empty is what it must be. */
export async function leftovers(top: string, network: string | undefined): Promise<string[]> {
  const namespaces = network === undefined ? "" : await mustRun("ip", ["netns", "list"]);
  return [
    ...processesBelow(top).map(describeProcess),
    ...(await mountsBelow(top)).map((path) => `mounted: ${path}`),
    ...namespaces
      .split("\n")
      .filter((line) => line.startsWith(`${network}-`))
      .map((line) => `namespace: ${line}`),
  ];
}

/** Take down beds whose own process is gone. */
export async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const top = join(tmpdir(), name);
    const text = await readFile(join(top, CLAIM), "utf8").catch(() => undefined); // was taken down
    if (text === undefined) continue;
    const claim = JSON.parse(text) as Claim;
    if (readProcess(claim.pid)?.startTicks === claim.startTicks) continue;
    await takeDown(top, claim.network);
    await rm(top, { recursive: true, force: true });
  }
}
