/**
 * R9: who decides, by the log alone. The members are folded anew from the entries that changed them; elections and
 * commits are held to what that gives, whatever the nodes themselves believe.
 */
import type { NodeId } from "../../../src/core/ids.ts";
import type { Member } from "../../oracle/twin/cluster.ts";

type Report = (invariant: string, message: string) => void;

/** An entry that took effect, and what it says of the members. */
export interface Applied {
  readonly index: number;
  readonly kind: string;
  readonly body: unknown;
}

/** What Raft knows of a member; an incarnation that is null may be any. */
type Known = Pick<Member, "incarnation" | "voter">;
type Members = ReadonlyMap<NodeId, Known>;

/** Changes of who is a member, or votes. */
const CHANGES: ReadonlySet<string> = new Set(["add_member", "voter", "readmit", "remove"]);

export class MemberChecks {
  readonly #report: Report;
  /** Each with the entry it is in force from, newest last; before the first nothing is known, and nothing is asked. */
  readonly #configs: { from: number; members: Members }[] = [];
  #folded = 0;
  /** Terms of which some entry is committed. */
  readonly #settledTerms = new Set<bigint>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** Where the fold begins: what an image holds, or what was applied and forgotten in one call has left. */
  begin(members: readonly Member[], index: number): void {
    if (this.known !== undefined && index <= this.#folded) return;
    this.#configs.push({ from: index, members: configOf(members) });
    this.#folded = index;
  }

  /** Undefined before the beginning. */
  get known(): Members | undefined {
    return this.#configs.at(-1)?.members;
  }

  /** True when this is the first time that it is seen to take effect. */
  applied(entry: Applied): boolean {
    const before = this.known;
    if (before === undefined || entry.index <= this.#folded) return false;
    this.#folded = entry.index;
    const after = folded(before, entry);
    const newest = CHANGES.has(entry.kind) ? undefined : this.#configs.pop();
    this.#configs.push({ from: newest?.from ?? entry.index, members: after });
    return true;
  }

  /** What a node's own members are, once it has applied all that is folded here. */
  compare(node: NodeId, members: readonly Member[], index: number): void {
    const { known } = this;
    if (known === undefined || index !== this.#folded) return;
    const [own, log] = [show(configOf(members)), show(known)];
    if (own !== log) this.#report("R9", `node ${node} knows members ${own}, the log says ${log}`);
  }

  committed(term: bigint): void {
    this.#settledTerms.add(term);
  }

  /** An entry is seen in a log for the first time; `before`: the newest change below it, if one is not committed. */
  proposed(entry: { index: number; term: bigint; kind: string }, before: number | undefined): void {
    if (!CHANGES.has(entry.kind) || this.known === undefined) return;
    const what = `${entry.kind} at ${entry.index} of term ${entry.term}`;
    if (before !== undefined) {
      this.#report("R9", `${what}: the change before it, at ${before}, is not committed`);
    }
    if (!this.#settledTerms.has(entry.term)) {
      this.#report("R9", `${what}, before an entry of that term is committed`);
    }
  }

  /**
   * Whether these lives are a majority of those who vote: by the newest members, or by those before the last change,
   * which whoever decides may not know yet.
   */
  decide(lives: ReadonlyMap<NodeId, string>): boolean {
    return this.#configs.slice(-2).some(({ members }) => {
      const voters = [...members].filter(([, { voter }]) => voter);
      const counted = voters.filter(([id, { incarnation }]) => {
        const life = lives.get(id);
        return life !== undefined && (incarnation === null || incarnation === life);
      });
      return counted.length * 2 > voters.length;
    });
  }

  won(leader: NodeId, term: number, votes: ReadonlyMap<NodeId, string>): void {
    if (this.known === undefined || this.decide(votes)) return;
    const by = [...votes.keys()].join(", ");
    this.#report("R9", `node ${leader} leads term ${term} by the votes of ${by} alone`);
  }

  /** Whether this very life belongs to the cluster. */
  includes(id: NodeId, life: string): boolean {
    return this.includedFrom(this.#folded, id, life);
  }

  /** Whether it did, as somebody who has applied so far may see it: then, or by what he has not applied yet. */
  includedFrom(applied: number, id: NodeId, life: string): boolean {
    return this.#configs.some(({ members }, at) => {
      const next = this.#configs[at + 1];
      const member = members.get(id);
      const over = next !== undefined && next.from <= applied;
      return !over && member !== undefined && (member.incarnation ?? life) === life;
    });
  }
}

export function isChange(kind: string): boolean {
  return CHANGES.has(kind);
}

function configOf(members: readonly Member[]): Members {
  return new Map(
    members.map(({ node_id, incarnation, voter }) => [node_id, { incarnation, voter }]),
  );
}

function folded(before: Members, { kind, body }: Applied): Members {
  const { node_id: id, incarnation } = body as { node_id: NodeId; incarnation: string };
  const now = before.get(id);
  const after = new Map(before);
  if (kind === "add_member" || kind === "readmit") after.set(id, { incarnation, voter: false });
  else if (kind === "remove") after.delete(id);
  else if (now !== undefined && kind === "register") after.set(id, { ...now, incarnation });
  else if (now !== undefined && kind === "voter") after.set(id, { ...now, voter: true });
  return after;
}

function show(members: Members): string {
  return [...members]
    .sort(([a], [b]) => a - b)
    .map(([id, { incarnation, voter }]) => `${id}${voter ? "" : "?"}:${incarnation?.slice(0, 8)}`)
    .join(" ");
}
