/** The notes beside the data directory: whose it is, what was begun with it. Durable before the act they tell of. */
import { readFile } from "node:fs/promises";
import type { Epoch } from "../core/ids.ts";
import type { SlotNote } from "../core/logical-slots.ts";
import { exists, removeTree, writeDurable } from "../postgres/files.ts";
import type { Agent } from "./context.ts";

/** `data.json` and `founding.json`. */
export interface Identity {
  readonly clusterId: string;
  /** Absent in `founding.json` while initdb runs. */
  readonly systemIdentifier?: string;
  /** In `founding.json`: it was there before the cluster was, and is nothing that we made. */
  readonly kept?: true;
}

/** `data.marker`: what lies in the data directory is not to be started. */
export interface Marker {
  /** A whole copy of this epoch's primary lies ready and takes its place: nothing more is needed for that. */
  readonly whole: Epoch | undefined;
  /**
   * The data were being rewound for this epoch's primary. They had left the history before it began, so this node
   * confirmed nothing in it or later; and whatever it confirmed before, that primary holds (D4).
   */
  readonly nothingFrom: Epoch | undefined;
}

/** `data.joining`: whole data of this epoch's primary, and how they came to be. */
export interface Joining {
  readonly epoch: Epoch;
  readonly by: "copy" | "rewind";
}

export async function readIdentity(path: string): Promise<Identity | undefined> {
  const read = await readNote(path);
  return read !== undefined && "clusterId" in read ? (read as unknown as Identity) : undefined;
}

export async function writeIdentity(agent: Agent, systemIdentifier: string): Promise<void> {
  const { paths, view } = agent;
  await writeNote(agent, paths.identity, { clusterId: view.cluster_id, systemIdentifier });
}

/** Note durably, before initdb begins, that what appears in `data.new` is ours. */
export async function writeFounding(
  agent: Pick<Agent, "paths" | "owner">,
  identity: Identity,
): Promise<void> {
  await writeNote(agent, agent.paths.founding, identity);
}

/** The same before a copy begins: what `data.new` and `data.old` hold from now on is ours. */
export async function writeCopying(agent: Agent): Promise<void> {
  const { paths, view } = agent;
  await writeNote(agent, paths.copying, { clusterId: view.cluster_id });
}

export async function readMarker({ paths }: Pick<Agent, "paths">): Promise<Marker | undefined> {
  const read = await readNote(paths.marker);
  if (read === undefined) return undefined;
  return {
    whole: "whole" in read ? BigInt(String(read.whole)) : undefined,
    nothingFrom: "nothingFrom" in read ? BigInt(String(read.nothingFrom)) : undefined,
  };
}

/** From here on `data` is never started, until a complete copy has replaced it (H04). */
export async function putMarker(agent: Agent, marker: Partial<Marker> = {}): Promise<void> {
  const { paths, view } = agent;
  const { whole, nothingFrom } = marker;
  const note = {
    clusterId: view.cluster_id,
    ...(whole === undefined ? {} : { whole: whole.toString() }),
    ...(nothingFrom === undefined ? {} : { nothingFrom: nothingFrom.toString() }),
  };
  await writeNote(agent, paths.marker, note);
  await removeTree(paths.joining);
}

export async function readJoining({ paths }: Agent): Promise<Joining | undefined> {
  const read = await readNote(paths.joining);
  if (read === undefined) return undefined;
  const epoch = "epoch" in read ? BigInt(String(read.epoch)) : 0n;
  return { epoch, by: "by" in read && read.by === "copy" ? "copy" : "rewind" };
}

/** The data directory is whole again, for the primary of this epoch, and must prove it before it counts (H39). */
export async function putJoining(agent: Agent, { epoch, by }: Joining): Promise<void> {
  const { paths } = agent;
  await writeNote(agent, paths.joining, { epoch: epoch.toString(), by });
  await removeTree(paths.marker);
}

/** Of each logical slot that this node knows to be the cluster's. */
export type SlotNotes = Readonly<Record<string, SlotNote>>;

export async function readSlotNotes({ paths }: Agent): Promise<SlotNotes> {
  return ((await readNote(paths.slots)) ?? {}) as SlotNotes;
}

export function writeSlotNotes(agent: Agent, notes: SlotNotes): Promise<void> {
  return writeNote(agent, agent.paths.slots, notes);
}

async function writeNote(
  { owner }: Pick<Agent, "owner">,
  path: string,
  note: object,
): Promise<void> {
  await writeDurable(path, `${JSON.stringify(note)}\n`, { owner });
}

async function readNote(path: string): Promise<object | undefined> {
  if (!(await exists(path))) return undefined;
  const read: unknown = JSON.parse(await readFile(path, "utf8"));
  return typeof read === "object" && read !== null ? read : {};
}
