/** Stores and copies that are gone or half made: F33, F34, F37. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Bed, VolumeKind } from "../bed/bed.ts";
import { primaries } from "../health.ts";
import { signalAll, untilGone } from "../processes.ts";
import { rows } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { killed, killNode } from "./crashes.ts";
import type { Fault, Injected } from "./fault.ts";
import { type Promised, promisesOf } from "./promises.ts";

/** The node dies, and comes back without what was in one of its directories. */
async function wiped(bed: Bed, id: number, kind: VolumeKind): Promise<Injected> {
  const dead = killNode(bed, id);
  await dead.proof();
  await bed.keeper(id).end();
  const { dir } = bed.node(id)[kind];
  const names = await readdir(dir);
  for (const name of names) await rm(join(dir, name), { recursive: true });
  return {
    at: dead.at,
    what: `${kind} directory of node ${id} wiped`,
    proof: async () => `${names.length} files and folders are gone`,
    heal: async () => bed.keeper(id).start(),
  };
}

export async function promisesOfNode(bed: Bed, id: number): Promise<Promised> {
  const found = (await promisesOf(bed)).find(({ node_id }) => node_id === id);
  if (found === undefined) throw new Error(`the control store of node ${id} does not answer`);
  return found;
}

/** Another life began, and it has voted in no term in which the former one may have (R2, H56). */
export async function anotherLife(bed: Bed, before: Promised): Promise<string> {
  const after = await until("another life begins", { limitMs: 60_000 }, async () => {
    const now = (await promisesOf(bed)).find(({ node_id }) => node_id === before.node_id);
    if (now === undefined || now.incarnation === before.incarnation) throw new NotYet("not yet");
    return now;
  });
  refuseSecondVote(before, after);
  return "it is another life now";
}

async function storeWiped(bed: Bed, id: number): Promise<Injected> {
  const before = await promisesOfNode(bed, id);
  const injected = await wiped(bed, id, "control");
  return {
    ...injected,
    proof: async () => {
      const said = await injected.proof();
      await injected.heal();
      return `${said}; ${await anotherLife(bed, before)}`;
    },
  };
}

function refuseSecondVote(before: Promised, after: Promised): void {
  if (after.voted_for === null || BigInt(after.term) > BigInt(before.term)) return;
  throw new Error(`node ${after.node_id} may have voted twice in term ${after.term}`);
}

/** The primary's data server dies with more WAL than anyone has; the rewind of it is killed in the middle. */
async function rewindKilled(bed: Bed, id: number, afterMs: number): Promise<Injected> {
  // Rows that nobody confirms, so that there is something to rewind: the walsenders stand still meanwhile.
  const senders = bed.serverOf(id, "data").filter(({ command }) => /walsender/.test(command));
  signalAll(senders, "SIGSTOP");
  const { uri } = bed.node(id).data;
  const orphan = "create table if not exists orphan as select generate_series(1, 20000) as n";
  await rows(uri, orphan, [], { answerMs: 1000 }).catch(() => undefined); // waits for ever: nobody confirms
  const dead = killed(
    `data server of node ${id} killed with WAL of its own`,
    bed.serverOf(id, "data"),
  );
  return {
    ...dead,
    what: `data server of node ${id} killed, then its rewind`,
    proof: async () => {
      let looks = 0;
      const found = await until("a rewind begins", { limitMs: 60_000, everyMs: 20 }, async () => {
        const rewinds = bed.processesOf(id).filter(({ command }) => /pg_rewind/.test(command));
        looks += 1;
        const again = looks % 25 === 0 && (await primaries(bed)).includes(id);
        return (again || rewinds.length > 0) && rewinds;
      });
      if (found.length === 0) throw new Error("its WAL was needed: it is the primary again");
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      signalAll(found, "SIGKILL");
      await untilGone(found, 5000);
      return `pg_rewind was killed after ${afterMs} ms`;
    },
  };
}

export const AMNESIA: readonly Fault[] = [
  {
    id: "F33",
    name: "a standby's control store is wiped",
    forgets: true,
    bold: true,
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [1000, 3000],
    inject: ({ bed, standbys, random }) => storeWiped(bed, random.pick(standbys)),
  },
  {
    id: "F33",
    name: "the control store of the primary's node is wiped",
    forgets: true,
    needs: [],
    bound: "observed",
    failover: "must",
    lasts: [1000, 3000],
    inject: ({ bed, primary }) => storeWiped(bed, primary),
  },
  {
    id: "F34",
    name: "a standby's data directory is wiped",
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [1000, 3000],
    inject: ({ bed, standbys, random }) => wiped(bed, random.pick(standbys), "data"),
  },
  {
    id: "F34",
    name: "the primary's data directory is wiped",
    needs: [],
    bound: "observed",
    failover: "must",
    lasts: [1000, 3000],
    inject: ({ bed, primary }) => wiped(bed, primary, "data"),
  },
  {
    id: "F37",
    name: "the rewind of a loser is killed",
    bold: true,
    needs: [],
    bound: "silent",
    failover: "must",
    lasts: [1000, 3000],
    inject: ({ bed, primary, random }) => rewindKilled(bed, primary, random.int(0, 60)),
  },
];
