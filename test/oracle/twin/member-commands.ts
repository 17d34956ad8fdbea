/** Commands about who is a member: known, readmitted after the loss of its control store, heard in votes. */
import type { Cluster, Effect, Member, RequestFacts } from "./cluster.ts";
import {
  absent,
  type Body,
  type Command,
  done,
  int,
  memberOf,
  newestOf,
  nextRequest,
  refused,
  text,
  withMember,
} from "./effects.ts";

export const register: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  const incarnation = text(body.incarnation);
  if (member.incarnation !== incarnation && member.incarnation !== null) {
    return refused(cluster, "incarnation_differs");
  }
  const state = member.state === "initial" ? "registered" : member.state;
  const changes = withMember(cluster, id, { incarnation, state });
  if (member.incarnation !== null) return done(cluster, changes);
  const event = { event: "member_registered", node_id: id, from_state: member.state };
  return done(cluster, changes, { ...event, to_state: "registered" });
};

export const readmit: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  const incarnation = text(body.incarnation);
  if (member === undefined) return refused(cluster, "unknown_member");
  if (member.incarnation !== text(body.replaces)) return refused(cluster, "stale_incarnation");
  if (member.incarnation === null) return refused(cluster, "never_registered");
  if (incarnation === member.incarnation || cluster.former.has(`${id}/${incarnation}`)) {
    return refused(cluster, "used_incarnation");
  }
  if (!cluster.members.some(({ node_id, voter }) => voter && node_id !== id)) {
    return refused(cluster, "last_voter");
  }
  if (addressTaken(cluster, body)) return refused(cluster, "address_taken");
  const elsewhere = body.control_port !== undefined;
  if (elsewhere && isWitness(member.data_port) !== isWitness(body.data_port)) {
    return refused(cluster, "another_kind");
  }
  const former = new Set([...cluster.former, `${id}/${member.incarnation}`]);
  const place = {
    control_host: text(body.control_host) ?? member.control_host,
    control_port: int(body.control_port) ?? member.control_port,
    data_host: text(body.data_host) ?? member.data_host,
    data_port: int(body.data_port) ?? member.data_port,
  };
  const changes = { ...withMember(cluster, id, { incarnation, voter: false, ...place }), former };
  const from_state = member.voter ? "voter" : "learner";
  const event = { event: "member_readmitted", node_id: id, from_state, to_state: "learner" };
  const { cluster: after, outcome } = done(cluster, changes, event);
  const asked = body.key === undefined ? after : opened(after, body, "add_node", { to_node: id });
  return { cluster: asked, outcome };
};

export const voter: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  const same = member.incarnation === text(body.incarnation);
  if (!same) return refused(cluster, "incarnation_differs");
  if (member.voter) return refused(cluster, "votes_already");
  if (member.leaving || !member.wants_vote) return refused(cluster, "is_to_learn");
  const event = { event: "member_votes", node_id: id, from_state: "learner", to_state: "voter" };
  return closing(done(cluster, withMember(cluster, id, { voter: true }), event));
};

export const addMember: Command = (cluster, body) => {
  const id = int(body.node_id) as number;
  const incarnation = text(body.incarnation) as string;
  if (memberOf(cluster, id) !== undefined) return refused(cluster, "is_member");
  if (cluster.members.some(({ name }) => name === body.name)) return refused(cluster, "name_taken");
  if (addressTaken(cluster, body)) return refused(cluster, "address_taken");
  if (cluster.members.length >= 16) return refused(cluster, "too_many");
  const left = cluster.left.get(id);
  if (left === incarnation || cluster.former.has(`${id}/${incarnation}`)) {
    return refused(cluster, "used_incarnation");
  }
  const member: Member = {
    node_id: id,
    name: String(body.name),
    incarnation,
    control_host: String(body.control_host),
    control_port: Number(body.control_port),
    data_host: text(body.data_host),
    data_port: int(body.data_port),
    voter: false,
    wants_vote: body.voter === true,
    promotable: !isWitness(body.data_port),
    priority: Number(body.priority),
    sync: true,
    leaving: false,
    clone_from: false,
    state: "registered",
  };
  const changes = {
    members: [...cluster.members, member].sort((a, b) => a.node_id - b.node_id),
    former: left == null ? cluster.former : new Set([...cluster.former, `${id}/${left}`]),
    left: new Map([...cluster.left].filter(([one]) => one !== id)),
  };
  const event = { event: "member_added", node_id: id, from_state: null, to_state: "learner" };
  const { cluster: after, outcome } = done(cluster, changes, event);
  return { cluster: opened(after, body, "add_node", { to_node: id }), outcome };
};

export const leave: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  const stays = (one: Member) => one.voter && !one.leaving && one.node_id !== id;
  if (member.voter && !cluster.members.some(stays)) return refused(cluster, "last_voter");
  if (isWanted(cluster, id)) return refused(cluster, "is_primary");
  if (newestOf(cluster)?.state === "opened") return refused(cluster, "not_settled");
  const event = { event: "member_leaving", node_id: id, from_state: member.state };
  const noted = member.leaving ? undefined : { ...event, to_state: "leaving" };
  const { cluster: after, outcome } = done(
    cluster,
    withMember(cluster, id, { leaving: true }),
    noted,
  );
  const requests = after.requests.map((row) =>
    row.state === "running" && row.kind === "add_node" && row.to_node === id
      ? { ...row, state: "failed" as const }
      : row,
  );
  const ended = { ...after, requests };
  return { cluster: opened(ended, body, "remove_node", { from_node: id }), outcome };
};

export const remove: Command = (cluster, body) => {
  const id = int(body.node_id) as number;
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  if (!member.leaving) return refused(cluster, "not_leaving");
  const others = cluster.members.filter((one) => one !== member);
  if (member.voter && !others.some(({ voter }) => voter)) return refused(cluster, "last_voter");
  if (isWanted(cluster, id) || newestOf(cluster)?.state === "opened") {
    return refused(cluster, "not_settled");
  }
  const counted = [...cluster.rule.cohort, ...(cluster.nextRule?.cohort ?? [])];
  if (counted.includes(id)) return refused(cluster, "counts_for_commits");
  const left = new Map([...cluster.left, [id, member.incarnation] as const]);
  const event = { event: "member_removed", node_id: id, from_state: "leaving" };
  return closing(done(cluster, { members: others, left }, { ...event, to_state: "removed" }));
};

export const move: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  if (member.incarnation !== text(body.incarnation)) return refused(cluster, "incarnation_differs");
  if (isWitness(member.data_port) !== isWitness(body.data_port)) {
    return refused(cluster, "another_kind");
  }
  if (addressTaken(cluster, body)) return refused(cluster, "address_taken");
  const place = {
    control_host: String(body.control_host),
    control_port: Number(body.control_port),
    data_host: text(body.data_host),
    data_port: int(body.data_port),
  };
  const from_state = `${member.control_host}:${member.control_port}`;
  const to_state = `${place.control_host}:${place.control_port}`;
  const event = { event: "member_moved", node_id: id, from_state, to_state };
  return done(cluster, withMember(cluster, id, place), event);
};

export const setMember: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  const ofData = body.promotable === true || body.clone_from === true;
  if (member.data_port === null && ofData) return refused(cluster, "a_witness");
  const wish = {
    priority: int(body.priority) ?? member.priority,
    promotable: (body.promotable as boolean | undefined) ?? member.promotable,
    sync: (body.sync as boolean | undefined) ?? member.sync,
    clone_from: (body.clone_from as boolean | undefined) ?? member.clone_from,
  };
  return closing(
    done(cluster, withMember(cluster, id, wish), { event: "member_set", node_id: id }),
  );
};

/** cluster.stay: who was to leave is appointed. */
export function staying(effect: Effect, id: number | null): Effect {
  const { cluster } = effect;
  const member = memberOf(cluster, id);
  if (member?.leaving !== true) return effect;
  const requests = cluster.requests.map((row) =>
    row.state === "running" && row.kind === "remove_node" && row.from_node === id
      ? { ...row, state: "failed" as const, sqlstate: "RF010" }
      : row,
  );
  const changes = { requests, ...withMember(cluster, id, { leaving: false }) };
  const event = { event: "member_stays", node_id: id, from_state: "leaving" };
  return done(cluster, changes, { ...event, to_state: member.state });
}

/** cluster.close_requests, after the step that may complete what somebody asked for. */
export function closing<E extends { readonly cluster: Cluster }>(effect: E): E {
  const { cluster } = effect;
  const done = cluster.requests.filter((row) => row.state === "running" && isMet(cluster, row));
  const epoch = newestOf(cluster)?.epoch ?? 0n;
  const events = done.map(({ to_node, from_node }) => ({
    event: "request_finished",
    node_id: to_node ?? from_node,
    epoch,
    from_state: "running",
    to_state: "done",
  }));
  const requests = cluster.requests.map((row) =>
    done.includes(row) ? { ...row, state: "done" as const } : row,
  );
  return { ...effect, cluster: { ...cluster, requests, events: [...cluster.events, ...events] } };
}

function isMet(cluster: Cluster, { kind, from_node, to_node }: RequestFacts): boolean {
  if (kind === "remove_node") return memberOf(cluster, from_node) === undefined;
  const member = kind === "add_node" ? memberOf(cluster, to_node) : undefined;
  if (member === undefined || (member.wants_vote && !member.voter)) return false;
  if (member.data_port === null) return true;
  const mayCount = member.promotable && member.sync && cluster.mode !== "async";
  const counts = cluster.rule.cohort.includes(member.node_id);
  return member.state === "attached" && (!mayCount || counts);
}

/** cluster.open_request */
function opened(
  cluster: Cluster,
  body: Body,
  kind: RequestFacts["kind"],
  { from_node = null, to_node = null }: { from_node?: number | null; to_node?: number | null },
): Cluster {
  const key = String(body.key);
  if (cluster.requests.some((row) => row.key === key)) return cluster;
  const request: RequestFacts = {
    request_id: nextRequest(cluster),
    key,
    kind,
    state: "running",
    args: { target: to_node ?? from_node },
    from_node,
    to_node,
    epoch: null,
    sqlstate: null,
    write_gap_ms: null,
  };
  return { ...cluster, requests: [...cluster.requests, request] };
}

const isWitness = (dataPort: unknown) => absent(dataPort);

function isWanted(cluster: Cluster, id: number | null): boolean {
  const newest = newestOf(cluster);
  return id !== null && (newest?.node_id === id || newest?.handover_to === id);
}

/** Whether another member is reached where this body says. */
export function addressTaken(cluster: Cluster, body: Body): boolean {
  const same = (host: unknown, port: unknown, with_: readonly unknown[]) =>
    !absent(host) && !absent(port) && host === with_[0] && Number(port) === with_[1];
  return cluster.members.some(
    (one) =>
      one.node_id !== Number(body.node_id) &&
      (same(body.control_host, body.control_port, [one.control_host, one.control_port]) ||
        same(body.data_host, body.data_port, [one.data_host, one.data_port])),
  );
}
