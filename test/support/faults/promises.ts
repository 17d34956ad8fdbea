/** What a control store has promised, written down outside of it: nothing of it may ever be forgotten (R2, R6, R8). */
import type { ClusterView } from "../cluster.ts";
import { type Row, rows } from "../sql.ts";
import { until } from "../until.ts";

export interface Promised extends Row {
  readonly node_id: number;
  readonly incarnation: string;
  readonly term: string;
  readonly voted_for: number | null;
  readonly pledge: string;
  readonly commit_index: string;
  readonly commit_hash: string | null;
}

const PROMISED = `
  select i.node_id, i.incarnation, h.current_term as term, h.voted_for, p.epoch as pledge, h.commit_index,
         (select encode(l.hash, 'hex') from raft.log l where l.index = h.commit_index) as commit_hash
    from raft.hard_state h, node.identity i, node.pledge p`;

/** As committed in each node's store right now; a store that does not answer says nothing. */
export async function promisesOf(cluster: ClusterView): Promise<Promised[]> {
  const limits = { connectMs: 1000, answerMs: 3000 };
  const asked = cluster.controlUris().map((uri) => rows<Promised>(uri, PROMISED, [], limits));
  const answers = await Promise.allSettled(asked);
  return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
}

/** Hash of the entry that was committed last when the promise was noted, as the store has it now. */
async function hashAt(uri: string, index: string): Promise<string | undefined> {
  const [row] = await rows<{ hash: string }>(
    uri,
    "select encode(hash, 'hex') as hash from raft.log where index = $1",
    [index],
  );
  return row?.hash;
}

/** Of every store that answered before, once all do again: one that was killed may still be starting. */
async function promisesAgain(cluster: ClusterView, before: readonly Promised[]) {
  const ofAll = async () => {
    const now = await promisesOf(cluster);
    return before.every((then) => now.some(({ node_id }) => node_id === then.node_id)) && now;
  };
  const limit = { limitMs: 20_000, everyMs: 200 };
  return await until("every store answers again", limit, ofAll).catch(() => promisesOf(cluster));
}

/** Promises of `before` that are not kept any more, in words. A later term or pledge keeps an earlier one. */
export async function forgotten(
  cluster: ClusterView,
  before: readonly Promised[],
): Promise<string[]> {
  const after = await promisesAgain(cluster, before);
  const found: string[] = [];
  for (const then of before) {
    const now = after.find(({ node_id }) => node_id === then.node_id);
    const who = `node ${then.node_id}`;
    if (now === undefined) found.push(`${who} does not answer`);
    // Another life promises nothing of this one's: it must not vote where this one may have.
    if (now === undefined || now.incarnation !== then.incarnation) continue;
    if (BigInt(now.term) < BigInt(then.term))
      found.push(`${who}: term ${then.term} is now ${now.term}`);
    if (BigInt(now.pledge) < BigInt(then.pledge))
      found.push(`${who}: pledge ${then.pledge} is gone`);
    const sameTerm = now.term === then.term && then.voted_for !== null;
    if (sameTerm && now.voted_for !== then.voted_for)
      found.push(`${who}: vote of term ${now.term} is gone`);
    const hash = await hashAt(cluster.node(then.node_id).control.uri, then.commit_index);
    if (then.commit_hash !== null && hash !== undefined && hash !== then.commit_hash) {
      found.push(`${who}: entry ${then.commit_index} is another one now`);
    }
    if (BigInt(now.commit_index) < BigInt(then.commit_index)) {
      found.push(`${who}: entry ${then.commit_index} is gone`);
    }
  }
  return found;
}
