/** What a node that returns asks of the primary, logged in there under its own role. */
import { z } from "zod";
import type { Stamp } from "../core/history.ts";
import type { Lsn } from "../core/ids.ts";
import { callOne, type Queryable, run } from "./call.ts";
import { flushedLsn, writeMark } from "./data-primary.ts";
import { stampChain } from "./data-server.ts";
import { oldestSegment } from "./data-slots.ts";
import { lsn } from "./rows.ts";

export interface SourceState {
  readonly stamps: readonly Stamp[];
  /** Flushed there, read last. */
  readonly end: Lsn;
  /** Of its latest checkpoint: what pg_rewind goes by (H03). */
  readonly checkpointTimeline: number;
  /** Name of its oldest WAL segment without the timeline; undefined when it shows none. */
  readonly oldestSegment: string | undefined;
}

/** How the primary is, for a decision about this node's data. */
export async function sourceState(db: Queryable, clusterId: string): Promise<SourceState> {
  const stamps = await stampChain(db, clusterId);
  const oldest = await oldestSegment(db);
  const { timeline } = await callOne(db, z.object({ timeline: z.int() }), {
    text: "select timeline_id as timeline from pg_control_checkpoint()",
  });
  return { stamps, checkpointTimeline: timeline, oldestSegment: oldest, end: await flushedLsn(db) };
}

/** What tells whether a standby may be copied, as it says itself. */
export async function standbyState(db: Queryable, clusterId: string) {
  return { ...(await standbyPosition(db)), stamps: await stampChain(db, clusterId) };
}

/** A checkpoint there and now: right after a promotion its pg_control still names the old timeline (H03). */
export function checkpointThere(db: Queryable): Promise<void> {
  return run(db, { text: "checkpoint" });
}

/** A WAL record written now: who replays past it has joined (H39). */
export function writeBarrier(db: Queryable): Promise<Lsn> {
  return writeMark(db);
}

const Own = z.object({
  in_recovery: z.boolean(),
  end: lsn.nullable(),
  replayed: lsn.nullable(),
  timeline: z.int().nullable(),
});

/** How far a standby is, on its own server: everything it holds, what it replayed, the timeline it streams. */
export function standbyPosition(db: Queryable): Promise<z.infer<typeof Own>> {
  return callOne(db, Own, {
    text: `
      select pg_is_in_recovery() as in_recovery,
             greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as end,
             pg_last_wal_replay_lsn()::text as replayed,
             (select r.received_tli from pg_stat_wal_receiver as r where r.status = 'streaming') as timeline`,
  });
}
