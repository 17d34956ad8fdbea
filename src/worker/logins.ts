/** Who may log in to this node's control store: its members, and whom a member has introduced. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import { nodePassword, scramVerifier, verifies } from "../config/secrets.ts";
import { dialTls, libpqTls } from "../config/tls.ts";
import { type NodeId, nodeRole } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import {
  dropNodeRole,
  limitCallers,
  loginsOf,
  nodeLogins,
  putNodeRole,
  putPeerLogin,
} from "../db/control-setup.ts";
import type { Hints } from "../db/hints.ts";
import type { Upkeep } from "../db/node.ts";
import type { Log } from "../log/logger.ts";
import type { AskUpkeep } from "./upkeep.ts";

type Secrets = Pick<Config, "node" | "clusterId" | "peerSecret" | "dir" | "tls">;

/** Who is a member, and who was one. */
type MemberIds = Pick<Upkeep, "present" | "former">;

/**
 * Every member, everyone introduced and this node itself may log in, by the password that follows from the secret; who
 * has left may not. What is so already is left alone: each change is a commit. Whether callers need limits here.
 */
export async function admitMembers(
  db: Queryable,
  config: Secrets,
  { present, former }: MemberIds,
  introduced: Iterable<NodeId>,
): Promise<boolean> {
  const left = former.filter((id) => !present.includes(id));
  const wanted = new Set([config.node.id, ...present, ...introduced]);
  for (const id of left) wanted.delete(id);
  const logins = await loginsOf(db, [...wanted].map(nodeRole));
  for (const id of wanted) {
    const password = nodePassword(config, id);
    if (verifies(logins.get(nodeRole(id)) ?? null, password)) continue;
    await putNodeRole(db, id, scramVerifier(password));
  }
  for (const id of await nodeLogins(db)) if (left.includes(id)) await dropNodeRole(db, id);
  await putPeerLogin(db, nodePassword(config, config.node.id), libpqTls(dialTls(config)));
  return await limitCallers(db);
}

export interface LoginOptions {
  readonly config: Secrets;
  readonly store: Queryable;
  readonly ask: AskUpkeep;
  /** Rung when something was applied. */
  readonly hints: Hints;
  readonly introduced: () => Iterable<NodeId>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A hint may be lost (H65), and an introduction rings no bell. */
const LOOK_MS = 1000;

/** Until the signal aborts: as members come and go, so do their logins. */
export async function keepLogins(options: LoginOptions): Promise<void> {
  const { config, store, hints, clock, log, signal } = options;
  let kept = "";
  let limits = false;
  while (!signal.aborted) {
    try {
      const members = await options.ask();
      const introduced = [...options.introduced()].sort();
      const wanted = JSON.stringify([members.present, members.former, introduced]);
      if (wanted !== kept) limits = await admitMembers(store, config, members, introduced);
      else if (limits) await limitCallers(store);
      kept = wanted;
    } catch (error) {
      log.debug({ event: "control.gone" }, `logins were not looked after: ${error}`);
    }
    await hints.within(untilBeat(clock.now(), LOOK_MS), signal);
  }
}
