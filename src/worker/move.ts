/**
 * A node is reached where its configuration says: when the log says another place, its worker has it moved.
 *
 * Nobody reaches it there at first; but it reaches the others, and tells each of them, and no longer once the log knows
 * the place. Who leads proposes it; everyone may dial there meanwhile, for a leader may need this very voter to commit
 * it. A dialled place proves nothing: whoever answers must say that it is that member, in its present life (R13). Two
 * that have moved at once find each other by whoever stayed: each asks everyone it reaches where the others are.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock/clock.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import { heardPlaces, type MoveDue, moveDue } from "../db/node.ts";
import { type Place, places, type Sender, submit } from "../db/peer.ts";
import type { Log } from "../log/logger.ts";
import { NO_ANSWER } from "../raft/links.ts";
import type { Raft } from "../raft/run.ts";

export interface MoveOptions {
  readonly me: Sender;
  readonly raft: Pick<Raft, "incarnations" | "link">;
  readonly store: Queryable;
  /** Rung when a member says where it is. */
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** While the log does not know where this node is. */
const EVERY_MS = 300;
/** A hint may be lost (H65), and an older move, still on its way, be applied after a newer one. */
const SETTLED_MS = 5000;
/** What was refused may be taken now: another member has moved away from there. */
const AGAIN_MS = 10_000;
const LIMIT_MS = 500;

/** Under one key a proposal is applied once (H60): with the body that says since when it is there. */
interface Ask {
  readonly key: string;
  readonly body: MoveDue["body"];
  readonly since: number;
}

/** Runs until the signal aborts. */
export async function keepPlaces(options: MoveOptions): Promise<void> {
  const { store, hints, clock, log, signal } = options;
  let ask: Ask = { key: "", body: {}, since: Number.NEGATIVE_INFINITY };
  let said = "";
  while (!signal.aborted) {
    let settled = false;
    try {
      const due = await moveDue(store);
      const told = due === undefined ? [] : await askPlaces(options);
      tryPlaces(options, [...told, ...(await heardPlaces(store))]);
      settled = due === undefined;
      said = say(options, due, said);
      if (due?.obstacle === null) {
        const now = clock.now();
        if (now - ask.since > AGAIN_MS) ask = { key: randomUUID(), body: due.body, since: now };
        await tell(options, ask);
      }
    } catch (error) {
      log.debug({ event: "control.gone" }, `who is reached where was not looked at: ${error}`);
    }
    await hints.within(settled ? SETTLED_MS : EVERY_MS, signal);
  }
}

/** Others may have moved too, and nobody who leads be reached: whoever has stayed knows where they are. */
async function askPlaces({ me, raft }: MoveOptions): Promise<Place[]> {
  const answers = await Promise.all(
    [...raft.incarnations().keys()]
      .filter((id) => id !== me.nodeId)
      .map((id) => raft.link(id)?.call("work", LIMIT_MS, (client) => places(client, me))),
  );
  return answers.flatMap((answer) => (answer === NO_ANSWER ? [] : (answer ?? [])));
}

/** The last word on a member is the one that counts: what it has told this node itself. */
function tryPlaces({ raft }: MoveOptions, said: readonly Place[]): void {
  for (const { node_id, host, port } of said) raft.link(node_id)?.tryAlso({ host, port });
}

/** One line for each change; what was said last. */
function say({ log }: MoveOptions, due: MoveDue | undefined, said: string): string {
  if (due === undefined) return "";
  const { control_host: host, control_port: port } = due.body;
  const at = `this node is reached at ${host}:${port}`;
  const line = due.obstacle === null ? `${at}: the others are told` : `${at}: ${due.obstacle}`;
  if (line === said) return said;
  if (due.obstacle === null) log.info({ event: "worker.moved" }, line);
  else log.error({ event: "worker.not_moved" }, `${line}: give it another address`);
  return line;
}

/** To everyone who answers, this node itself included: it may lead. */
async function tell({ me, raft }: MoveOptions, { key, body }: Ask): Promise<void> {
  const calls = [...raft.incarnations().keys()].map((id) =>
    raft
      .link(id)
      ?.call("work", LIMIT_MS, (client) => submit(client, me, { key, kind: "move", body })),
  );
  await Promise.all(calls);
}
