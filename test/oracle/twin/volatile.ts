/** What a control store forgets in a crash. */
import type { Counter } from "../../../src/core/counters.ts";
import type { Epoch, Lsn, Term } from "../../../src/core/ids.ts";
import type { InboxProposal, ReadAnswer, Turn } from "../../../src/db/raft.ts";
import { Gates, ReadTickets } from "./reads.ts";

/** Unlogged tables and sequences: gone after a crash. */
export interface Volatile {
  bootId: string;
  heard: bigint;
  silence: Counter | undefined;
  transferTerm: Term | undefined;
  /** Each with the term in which it was handed in. */
  inbox: { term: Term; readonly proposal: InboxProposal }[];
  reports: Map<Epoch, { readonly historyEpoch: Epoch; readonly lsn: Lsn | null }>;
  handedOver: Map<Epoch, { readonly shutdownLsn: Lsn | null; readonly problem: string | null }>;
  /** Parts of snapshots on their way in, by the snapshot. */
  arrived: Map<string, readonly string[]>;
  leaseAsked: bigint;
  leaseEcho: bigint;
  readonly reads: ReadTickets;
  readonly gates: Gates;
}

/** As after a start. */
export function freshVolatile(bootId: string): Volatile {
  return {
    bootId,
    heard: 0n,
    silence: undefined,
    transferTerm: undefined,
    inbox: [],
    reports: new Map(),
    handedOver: new Map(),
    arrived: new Map(),
    leaseAsked: 0n,
    leaseEcho: 0n,
    reads: new ReadTickets(),
    gates: new Gates(),
  };
}

/** raft.turn_gate: what was handed in when an earlier term was this one is dropped. */
export function turnGate({ inbox, reads, gates }: Volatile, max: number, term: Term): Turn {
  const taken = inbox.splice(0, max).filter((one) => one.term === term);
  const proposals = taken.map(({ proposal }) => proposal);
  return { gate: gates.turn(), ticket: reads.asked(), proposals };
}

/** raft.open_gate: whether there is more to do. Who waits at gates looks by itself here. */
export function openGate({ inbox, reads }: Volatile, answer: ReadAnswer | undefined): boolean {
  if (answer !== undefined) reads.confirm(answer);
  return reads.asked() > 0n || inbox.length > 0;
}
