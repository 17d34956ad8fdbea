/** Shapes shared by answers of the control store: 64-bit numbers and LSNs become `bigint` here. */
import { z } from "zod";
import { parseLsn } from "../core/ids.ts";

/** `int8` arrives as text (or, inside jsonb, as a number). */
export const int8 = z.union([z.string(), z.int()]).transform((value) => BigInt(value));
export const lsn = z.string().transform(parseLsn);

/** A row of `node.observed`: what is seen of one member. Meanings: migrations/control/0003-node.sql. */
export const Observed = z.object({
  node_id: z.int(),
  beat: int8,
  role: z.enum(["primary", "standby", "none"]),
  state: z.enum([
    "running",
    "streaming",
    "catching_up",
    "rewinding",
    "cloning",
    "starting",
    "stopping",
    "stopped",
    "fenced",
    "unreachable",
  ]),
  epoch: int8,
  writable: z.boolean(),
  gate_open: z.boolean(),
  timeline: z.int().nullable(),
  wal_lsn: lsn.nullable(),
  replay_lsn: lsn.nullable(),
  switch_lsn: lsn.nullable(),
  stamp_lsn: lsn.nullable(),
  attached: z.array(z.int()),
  lag_bytes: int8.nullable(),
  lag_ms: int8.nullable(),
  sync_state: z.string().nullable(),
  rule_in_force: z.string().nullable(),
  rule_proved: int8.nullable(),
  problem: z.string().nullable(),
  system_identifier: z.string().nullable(),
  gone: z.boolean(),
  hung: z.boolean(),
  raft_role: z.string(),
  slots: z.int().nullable(),
  observed_at: z.string(),
});
export type Observed = z.infer<typeof Observed>;
