/** F36: the promoted node dies before its WAL has reached anyone, another is promoted, then the first returns. */
import type { Bed } from "../bed/bed.ts";
import { between } from "../bed/links.ts";
import { type Healthy, onPrimary, untilHealthy } from "../health.ts";
import { firstAnswer, type Row, rows } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { killNode } from "./crashes.ts";

interface Epoch extends Row {
  readonly epoch: string;
  readonly node_id: number;
  readonly timeline: number;
  readonly state: string;
}

export interface DoubleCrash {
  readonly before: Healthy;
  readonly after: Healthy;
  /** The epoch that nobody but its own primary ever saw. */
  readonly orphan: Epoch;
  /** The one that took its place. */
  readonly next: Epoch;
}

const newest = (bed: Bed, where: string) =>
  firstAnswer(bed.controlUris(), (uri) =>
    rows<Epoch>(
      uri,
      `select epoch, node_id, timeline, state from cluster.epoch where ${where} order by epoch desc limit 1`,
      [],
      { connectMs: 800, answerMs: 3000 },
    ),
  );

/** Play it; three nodes. */
export async function doubleCrash(bed: Bed): Promise<DoubleCrash> {
  const before = await untilHealthy(bed);
  const { primary, standbys } = before;
  const [a = 0, b = 0] = standbys;
  // Whoever is promoted next, nobody can follow it.
  const cut = await bed.network.cut(between([a], [b], { how: "drop", port: "data" }));
  const first = killNode(bed, primary);
  await first.proof();
  const orphan = await until("a standby is promoted", { limitMs: 20_000, everyMs: 5 }, async () => {
    const [row] = await newest(bed, `state = 'promoted' and epoch > ${before.epoch}`);
    if (row === undefined) throw new NotYet("not yet");
    return row;
  });
  const second = killNode(bed, orphan.node_id);
  await second.proof();
  await cut.lift();
  await first.heal();
  await onPrimary(bed, "select 1", [], 60_000);
  const [next] = await newest(bed, "state = 'serving'");
  if (next === undefined) throw new Error("nobody serves");
  await second.heal();
  return { before, orphan, next, after: await untilHealthy(bed) };
}
