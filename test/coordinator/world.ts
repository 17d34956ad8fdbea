/** A model of the replicated state for tests of the coordinator: commands in, view out, as `cluster.apply` does it. */
import type { Command } from "../../src/coordinator/commands.ts";
import type {
  EpochFact,
  Facts,
  Member,
  MemberFact,
  ReportFact,
  RequestFact,
  Seen,
  View,
} from "../../src/coordinator/facts.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type Body = Readonly<Record<string, unknown>>;

export const SEEN: Seen = {
  role: "none",
  state: "stopped",
  epoch: 0n,
  gate_open: false,
  gone: false,
  hung: false,
  switch_lsn: null,
  stamp_lsn: null,
  attached: [],
  lag_bytes: null,
  wal_lsn: null,
  timeline: null,
  rule_proved: null,
  system_identifier: null,
  slots: null,
};

export function member(id: number, more: Partial<Member> = {}): Member {
  return {
    node_id: id,
    name: `node${id}`,
    data_port: 7000 + id,
    voter: true,
    promotable: true,
    priority: 100,
    sync: true,
    leaving: false,
    state: "registered",
    ...more,
  };
}

export class World {
  view: Mutable<View>;
  readonly members = new Map<number, MemberFact>();
  readonly reports = new Map<number, ReportFact>();
  facts: Mutable<Omit<Facts, "view" | "members" | "reports">>;

  constructor(members: readonly Member[], self = 1) {
    this.view = {
      node_id: self,
      formed: false,
      paused_why: null,
      mode: "quorum",
      rule: { version: 0n, k: 0, cohort: [] },
      next_rule: null,
      standby_names: "",
      members,
      epochs: [],
      highest_timeline: 1,
      requests: [],
      forget: null,
    };
    for (const { node_id } of members) {
      const store = { reach: "ok", sinceMs: 60_000 } as const;
      this.members.set(node_id, { store, known: true, beatMs: 100, seen: SEEN, awayMs: 0 });
    }
    this.facts = {
      self,
      leadingMs: 5000,
      epochMs: 0,
      handOverMs: 0,
      probe: { result: "untested", sinceMs: 0 },
      handedOver: undefined,
      dueInMs: new Map(),
      sinceFailoverMs: undefined,
      flaps: new Map(),
      sinceTransferMs: undefined,
      gapMs: undefined,
      saidBlocked: undefined,
      leaseMs: 0,
      leaseOverMs: 4040,
      silentMs: 1000,
    };
  }

  all(): Facts {
    return { ...this.facts, view: this.view, members: this.members, reports: this.reports };
  }

  see(id: number, seen: Partial<Seen>): void {
    const now = this.members.get(id) as MemberFact;
    this.members.set(id, { ...now, seen: { ...(now.seen ?? SEEN), ...seen } });
  }

  set(id: number, more: Partial<MemberFact>): void {
    this.members.set(id, { ...(this.members.get(id) as MemberFact), ...more });
  }

  request(request: Partial<RequestFact> & Pick<RequestFact, "request_id" | "kind">): void {
    const args = { target: null, allow_data_loss: false };
    const row: RequestFact = { state: "waiting", epoch: null, args, ...request };
    this.view.requests = [...this.view.requests, row];
  }

  /** Apply one command as the log would; the outcome. */
  apply({ kind, body }: Command): string {
    const handler = HANDLERS[kind];
    if (handler === undefined) throw new Error(`the model knows no ${kind}`);
    const before = this.view.epochs[0];
    const outcome = handler(this.view, body);
    const after = this.view.epochs[0];
    if (before?.epoch !== after?.epoch) {
      this.reports.clear();
      this.facts.saidBlocked = undefined;
    }
    if (before?.epoch !== after?.epoch || before?.state !== after?.state) this.facts.epochMs = 0;
    if (before?.handover_to !== after?.handover_to) this.facts.handOverMs = 0;
    if (kind === "keep_primary") this.facts.handedOver = undefined;
    if (kind === "event") this.facts.saidBlocked = String(body.reason);
    this.view.standby_names = standbyNames(this.view);
    return outcome;
  }
}

function standbyNames(view: View): string {
  const { k, cohort } = view.next_rule ?? view.rule;
  return k === 0 ? "" : `ANY ${k} (${cohort.join(", ")})`;
}

const NO_EPOCH: EpochFact = {
  epoch: 0n,
  state: "opened",
  cause: "",
  old_primary: null,
  node_id: null,
  old_fenced: false,
  request_id: null,
  handover_to: null,
  handover_request: null,
  write_gap_ms: null,
};

type Handler = (view: Mutable<View>, body: Body) => string;

function changeNewest(view: Mutable<View>, change: Partial<EpochFact>): string {
  const [first, ...rest] = view.epochs;
  view.epochs = [{ ...(first as EpochFact), ...change }, ...rest];
  return "ok";
}

function int8(value: unknown): bigint | null {
  return value === undefined || value === null ? null : BigInt(value as string);
}

const HANDLERS: Readonly<Record<string, Handler>> = {
  noop: () => "ok",
  event: () => "ok",
  found: (view, body) => {
    if (view.epochs.length > 0) return "already_founded";
    const node_id = body.node_id as number;
    view.epochs = [{ ...NO_EPOCH, epoch: 1n, state: "appointed", cause: "founding", node_id }];
    view.rule = { ...view.rule, k: 0, cohort: [node_id] };
    view.highest_timeline = 2;
    return "ok";
  },
  open_epoch: (view, body) => {
    const [newest] = view.epochs;
    if (newest === undefined || int8(body.epoch) !== newest.epoch + 1n) return "stale_epoch";
    const old_primary = view.epochs.find((e) => e.node_id !== null)?.node_id ?? null;
    changeNewest(view, { state: "superseded" });
    const opened = {
      ...NO_EPOCH,
      epoch: newest.epoch + 1n,
      cause: String(body.cause),
      old_primary,
      request_id: int8(body.request_id),
    };
    view.epochs = [opened, ...view.epochs].slice(0, 5);
    return "ok";
  },
  appoint: (view, body) => {
    if (view.epochs[0]?.state !== "opened") return "not_opened";
    view.highest_timeline = body.timeline as number;
    const { node_id, old_fenced } = body as { node_id: number; old_fenced: boolean };
    view.members = view.members.map((m) => (m.node_id === node_id ? { ...m, leaving: false } : m));
    return changeNewest(view, { state: "appointed", node_id, old_fenced });
  },
  promoted: (view) => {
    if (view.epochs[0]?.state !== "appointed") return "not_appointed";
    return changeNewest(view, { state: "promoted" });
  },
  serving: (view, body) => {
    if (view.epochs[0]?.state !== "promoted") return "not_promoted";
    const primary = view.epochs[0].node_id;
    view.members = view.members.map((m) =>
      m.node_id === primary ? { ...m, state: "attached" } : m,
    );
    const write_gap_ms = body.write_gap_ms as number | null;
    return changeNewest(view, { state: "serving", write_gap_ms });
  },
  hand_over: (view, body) => {
    const handover_to = body.to as number;
    return changeNewest(view, { handover_to, handover_request: int8(body.request_id) });
  },
  keep_primary: (view) => changeNewest(view, { handover_to: null, handover_request: null }),
  attached: (view, body) => {
    view.members = view.members.map((m) =>
      m.node_id === body.node_id ? { ...m, state: "attached" } : m,
    );
    return "ok";
  },
  rule_next: (view, body) => {
    const rule = { k: body.k as number, cohort: body.cohort as number[] };
    const lowered =
      view.next_rule?.cohort.join() === rule.cohort.join() && rule.k < view.next_rule.k;
    if (view.next_rule !== null && !lowered) return "under_way";
    if (lowered) view.rule = { ...view.rule, version: view.rule.version + 1n };
    view.next_rule = rule;
    return "ok";
  },
  rule_back: (view) => {
    if (view.next_rule === null) return "not_under_way";
    const { k, cohort, version } = view.rule;
    view.rule = { ...view.next_rule, version: version + 1n };
    view.next_rule = { k, cohort };
    return "ok";
  },
  rule: (view) => {
    if (view.next_rule === null) return "not_under_way";
    view.rule = { ...view.next_rule, version: view.rule.version + 1n };
    view.next_rule = null;
    return "ok";
  },
  formed: (view) => {
    view.formed = true;
    return "ok";
  },
  request_state: (view, body) => {
    const id = int8(body.request_id);
    const state = body.state as RequestFact["state"];
    view.requests = view.requests
      .map((r) => (r.request_id === id ? { ...r, state, epoch: int8(body.epoch) ?? r.epoch } : r))
      .filter((r) => r.state === "waiting" || r.state === "running");
    return "ok";
  },
};
