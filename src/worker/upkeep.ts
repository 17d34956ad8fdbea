/** Several parts look after the own store on one beat, once a second: one question answers them all. */
import type { Queryable } from "../db/call.ts";
import { type Upkeep, upkeep } from "../db/node.ts";

export type AskUpkeep = () => Promise<Upkeep>;

/** Who asks while a question is under way has the same answer; what came too late for it is seen at the next look. */
export function sharedUpkeep(store: Queryable): AskUpkeep {
  let underWay: Promise<Upkeep> | undefined;
  return () => {
    underWay ??= upkeep(store).finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
