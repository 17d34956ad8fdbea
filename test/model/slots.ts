/**
 * A primary, a standby, and one logical slot of which the standby was given a copy: every order in which rows are
 * vacuumed, positions move, receivers change and the standby looks, up to a promotion. What decides is the product's
 * (`core/logical-slots.ts`). A position is a place in the log and the transaction that wrote there.
 */
import { type LogicalSlot, noteOf, type SlotNote, unproved } from "../../src/core/logical-slots.ts";
import type { Step } from "./explore.ts";

interface Slot {
  /** Catalog rows that were deleted from here on are needed. */
  readonly xmin: number;
  readonly confirmed: number;
}

/** What the standby has learnt so far in this round. */
interface Round {
  readonly run: number;
  readonly kept?: number | null;
  readonly theirs?: Slot;
}

export interface State {
  /** The primary's WAL: 0 is a write, any other number vacuumed what was deleted before it. */
  readonly log: readonly number[];
  readonly slot: Slot;
  /** Of the standby's physical slot on the primary. */
  readonly kept: number | null;
  readonly streams: boolean;
  /** Receivers there have been. */
  readonly run: number;
  readonly replayed: number;
  readonly fetched: Slot | null;
  readonly copy: Slot | null;
  readonly round: Round | null;
  readonly note: SlotNote;
  readonly promoted: "" | "served" | "dropped" | "none";
}

export interface Bounds {
  readonly writes: number;
  readonly receivers: number;
}

/** Rules taken away. */
export interface Wrong {
  /** What is not proved is served all the same. */
  readonly nothingDropped?: true;
  /** The primary's slots are asked for before what it keeps for us. */
  readonly slotsFirst?: true;
  /** A slot proved through one receiver passes for proved through the next. */
  readonly anyReceiver?: true;
  /** What the primary keeps for us is not asked. */
  readonly keptUnasked?: true;
  /** What the primary's slot had let go of is not asked. */
  readonly theirsUnasked?: true;
  /** Nor whether the copy is ahead of what was replayed. */
  readonly aheadUnasked?: true;
}

export const INITIAL: State = {
  log: [0],
  slot: { xmin: 1, confirmed: 1 },
  kept: null,
  streams: true,
  run: 1,
  replayed: 1,
  fetched: null,
  copy: null,
  round: null,
  note: {},
  promoted: "",
};

const vacuumed = (log: readonly number[]): number => Math.max(0, ...log);

export function stepsOf(bounds: Bounds, wrong: Wrong = {}): (state: State) => Step<State>[] {
  return (state) =>
    state.promoted === ""
      ? [...onPrimary(state, bounds), ...between(state, bounds), ...onStandby(state, wrong)]
      : [];
}

function onPrimary(state: State, { writes }: Bounds): Step<State>[] {
  const { log, slot, kept } = state;
  const steps: Step<State>[] = [];
  const end = log.length;
  if (end < writes) steps.push({ label: "write", state: { ...state, log: [...log, 0] } });
  const horizon = Math.min(slot.xmin, kept ?? end, end);
  if (horizon > vacuumed(log) && end < writes)
    steps.push({ label: `vacuum ${horizon}`, state: { ...state, log: [...log, horizon] } });
  if (slot.confirmed < end)
    steps.push({ label: "consumer", state: { ...state, slot: { ...slot, confirmed: end } } });
  if (slot.xmin < slot.confirmed)
    steps.push({
      label: "the slot lets go",
      state: { ...state, slot: { ...slot, xmin: slot.confirmed } },
    });
  return steps;
}

function between(state: State, { receivers }: Bounds): Step<State>[] {
  const { log, kept, streams, run, replayed, copy } = state;
  if (!streams) {
    if (run >= receivers) return [];
    const again = { ...state, streams: true, run: run + 1 };
    return [
      { label: "another receiver", state: again },
      { label: "another receiver, nothing kept", state: { ...again, kept: null } },
    ];
  }
  const steps: Step<State>[] = [{ label: "receiver lost", state: { ...state, streams: false } }];
  if (replayed < log.length)
    steps.push({ label: "replay", state: { ...state, replayed: replayed + 1 } });
  const feedback = copy?.xmin ?? null;
  if (feedback !== kept) steps.push({ label: "feedback", state: { ...state, kept: feedback } });
  return steps;
}

function onStandby(state: State, wrong: Wrong): Step<State>[] {
  const { slot, streams, fetched, copy, round, run } = state;
  const steps: Step<State>[] = [{ label: "promote", state: promoted(state, wrong) }];
  if (streams && copy === null && fetched === null)
    steps.push({ label: "fetch", state: { ...state, fetched: slot } });
  // The standby stops for it, and its receiver with it.
  if (copy === null && fetched !== null)
    steps.push({
      label: "given",
      state: { ...state, copy: fetched, fetched: null, streams: false },
    });
  if (copy === null) return steps;
  if (round === null) {
    if (streams) steps.push({ label: "round", state: { ...state, round: { run } } });
  } else if (round.kept !== undefined && round.theirs !== undefined) {
    steps.push(...judged(state, copy, round as Required<Round>, wrong));
  } else steps.push(asked(state, round, wrong));
  return steps;
}

/** Two questions, one after the other. */
function asked(state: State, round: Round, { slotsFirst }: Wrong): Step<State> {
  const keptNow = slotsFirst === undefined ? round.kept === undefined : round.theirs !== undefined;
  const kept = state.streams ? state.kept : null;
  return keptNow
    ? { label: "what is kept?", state: { ...state, round: { ...round, kept } } }
    : { label: "which slots?", state: { ...state, round: { ...round, theirs: state.slot } } };
}

/** The copy moves along; how much of the catalog it lets go of then is the server's affair. */
function judged(state: State, copy: Slot, round: Required<Round>, wrong: Wrong): Step<State>[] {
  const { replayed, note, run } = state;
  const to = Math.min(round.theirs.confirmed, replayed);
  const confirmed = Math.max(copy.confirmed, to);
  const moved = [
    { ...copy, confirmed },
    { xmin: Math.max(copy.xmin, to), confirmed },
  ];
  return moved.map((own) => {
    const evidence = {
      keptXmin: wrong.keptUnasked ? own.xmin : round.kept,
      theirs: rowOf(wrong.theirsUnasked ? { ...round.theirs, xmin: 0 } : round.theirs),
      own: rowOf(own),
      replayed: wrong.aheadUnasked ? 99n : BigInt(replayed),
      decoded: true,
    };
    const next = round.run === run ? noteOf(evidence, note, nameOf(round.run, wrong)) : note;
    return { label: "judge", state: { ...state, copy: own, round: null, note: next } };
  });
}

const nameOf = (run: number, { anyReceiver }: Wrong): string => (anyReceiver ? "any" : `${run}`);

function rowOf({ xmin, confirmed }: Slot): LogicalSlot {
  return {
    name: "s",
    database: "shop",
    active: false,
    lost: false,
    catalog_xmin: xmin,
    restart_lsn: BigInt(confirmed),
    confirmed_lsn: BigInt(confirmed),
  };
}

function promoted(state: State, wrong: Wrong): State {
  const { copy, note, run } = state;
  if (copy === null) return { ...state, promoted: "none" };
  const dropped = unproved([rowOf(copy)], { s: note }, nameOf(run, wrong)).length > 0;
  return { ...state, promoted: dropped && !wrong.nothingDropped ? "dropped" : "served" };
}

/** A slot that is served has every change that its consumer has not confirmed, and the rows to decode it. */
export function changeMissing({ promoted: how, copy, log, replayed, slot }: State) {
  if (how !== "served" || copy === null) return undefined;
  const gone = vacuumed(log.slice(0, replayed));
  if (gone > copy.xmin) return `rows from ${copy.xmin} on are needed, and gone before ${gone}`;
  if (copy.confirmed > replayed)
    return `it begins at ${copy.confirmed}, the log ends at ${replayed}`;
  if (copy.confirmed > slot.confirmed) return "it skips what the consumer has not confirmed";
  return undefined;
}

/** Of runs that have ended only what came of them matters. */
export function keyOf(state: State): string {
  if (state.promoted !== "") return `${state.promoted} ${changeMissing(state) ?? ""}`;
  return JSON.stringify(state);
}

export function marksOf({ promoted: how, copy, log, replayed }: State): string[] {
  const gone = copy !== null && vacuumed(log.slice(0, replayed)) > copy.xmin;
  return [...(how === "" ? [] : [how]), ...(gone ? ["its rows are gone"] : [])];
}
