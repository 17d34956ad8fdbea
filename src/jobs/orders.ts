/** What crosses between the worker and the process that runs a job; 64-bit numbers as such (structured clone). */
import type { LocalOptions } from "../db/connect.ts";
import type { RewindOptions } from "../postgres/pg-rewind.ts";
import type { BaseBackup, BaseBackupOptions } from "../replication/base-backup.ts";

export type CopyWork = Omit<BaseBackupOptions, "clock" | "signal" | "onProgress"> & {
  /** How often it is begun at most. */
  readonly attempts?: number;
};
export type RewindWork = Omit<RewindOptions, "binaries" | "signal" | "onProgress"> & {
  readonly program: string;
};

/** The task's name in the queue, and what only the process is told: secrets never stand in the queue. */
export type Work =
  | { readonly task: "clone"; readonly work: CopyWork }
  | { readonly task: "rewind"; readonly work: RewindWork };

export type Order = Work & {
  /** The control store that holds the queue. */
  readonly store: Omit<LocalOptions, "onLost">;
};

export type News =
  | { readonly type: "progress"; readonly done: bigint; readonly total: bigint | undefined }
  /** It will be tried again, later and later. */
  | { readonly type: "retrying"; readonly why: string; readonly attempt: number }
  | { readonly type: "done"; readonly backup: BaseBackup | undefined }
  | { readonly type: "failed"; readonly why: string };
