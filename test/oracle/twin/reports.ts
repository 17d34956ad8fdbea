/** What a report says of this node's data, and what node.make_report and node.make_void_report refuse. */
import type { Epoch, Lsn } from "../../../src/core/ids.ts";
import type { Durable } from "./learn-commit.ts";
import { SqlError } from "./sql-error.ts";

/** node.history_epoch: the newest epoch followed whose WAL reaches into what this node holds. */
export function historyEpoch({ cluster, state }: Durable, lsn: Lsn): Epoch {
  return cluster.epochs.reduce((newest, { epoch, node_id, from_lsn }) => {
    const counts = epoch <= state.followed && node_id !== null && (from_lsn ?? 0n) < lsn;
    return counts && epoch > newest ? epoch : newest;
  }, 0n);
}

export function checkReport(
  { pledge, followed }: { readonly pledge: Epoch; readonly followed: Epoch },
  epoch: Epoch,
  nothingFrom: Epoch = followed,
): void {
  if (epoch !== pledge) {
    throw new SqlError("RF010", `the pledge is for epoch ${pledge}, not ${epoch}`);
  }
  if (nothingFrom >= followed) return;
  throw new SqlError(
    "RF010",
    `this node followed epoch ${followed}: it may have confirmed commits after epoch ${nothingFrom} began`,
  );
}
