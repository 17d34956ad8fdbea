/** What the agent reads and promises in this node's control store. */
import type { Epoch, Lsn } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import * as node from "../db/node.ts";

/** One method per function of the schema `node`. */
export interface NodeStore {
  view(): Promise<node.AgentView>;
  observe(row: Readonly<Record<string, unknown>>): Promise<void>;
  makeReport(epoch: Epoch, lsn: Lsn, evidence: string): Promise<void>;
  /** Without data worth reporting: this node confirmed nothing from epoch `nothingFrom` on. */
  makeVoidReport(epoch: Epoch, nothingFrom: Epoch, evidence: string): Promise<void>;
  /** Refused below the pledge: nothing was promised then, and nothing may be done. */
  follow(epoch: Epoch): Promise<void>;
  /** What the data's own stamps say was followed; no promise, and refused by no pledge. */
  recall(epoch: Epoch): Promise<void>;
  handOverDone(
    epoch: Epoch,
    outcome: { readonly shutdownLsn: Lsn } | { readonly problem: string },
  ): Promise<void>;
  noteAct(act: {
    readonly event: string;
    readonly reason: string;
    readonly detail?: unknown;
  }): Promise<void>;
  /** Which of these the cluster's events tell last; null: none of them. */
  lastEvent(events: readonly string[]): Promise<string | null>;
  /** Numbers that the data directory may hold; none: any directory will do. */
  dataLife(): Promise<readonly string[]>;
  setDataLife(numbers: readonly string[]): Promise<void>;
  setProgress(progress: node.Progress): Promise<void>;
  clearProgress(): Promise<void>;
}

export function nodeStore(db: Queryable): NodeStore {
  return {
    view: () => node.agentView(db),
    observe: (row) => node.observe(db, row),
    makeReport: (epoch, lsn, evidence) => node.makeReport(db, epoch, lsn, evidence),
    makeVoidReport: (epoch, from, evidence) => node.makeVoidReport(db, epoch, from, evidence),
    follow: (epoch) => node.follow(db, epoch),
    recall: (epoch) => node.recall(db, epoch),
    handOverDone: (epoch, outcome) => node.handOverDone(db, epoch, outcome),
    noteAct: (act) => node.noteAct(db, act),
    lastEvent: (events) => node.lastEvent(db, events),
    dataLife: () => node.dataLife(db),
    setDataLife: (numbers) => node.setDataLife(db, numbers),
    setProgress: (progress) => node.setProgress(db, progress),
    clearProgress: () => node.clearProgress(db),
  };
}
