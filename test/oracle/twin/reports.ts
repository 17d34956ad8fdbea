/** What node.make_report and node.make_void_report refuse. */
import type { Epoch } from "../../../src/core/ids.ts";
import { SqlError } from "./sql-error.ts";

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
