/** A node that is reached elsewhere from now on: what the functions of schema node make of it. */
import type { Sender } from "../../../src/db/peer.ts";
import { addressTaken } from "../../oracle/twin/member-commands.ts";
import type { Row } from "./network.ts";
import type { Store } from "./store.ts";

/** node.move_due: what the configuration says, unless the log says so too, or does not know this life. */
export function moveDue(store: Store): readonly Row[] {
  const { cluster } = store.acceptor;
  const { control, data } = store.world.hosts.get(store.node)?.config ?? {};
  const own = cluster.members.find(({ node_id }) => node_id === store.node);
  if (control === undefined || own?.incarnation !== store.incarnation) return [];
  const place = {
    control_host: control.host,
    control_port: control.port,
    data_host: data?.host ?? null,
    data_port: data?.port ?? null,
  };
  const there = Object.entries(place);
  if (there.every(([key, value]) => own[key as keyof typeof place] === value)) return [];
  const { node, incarnation } = store;
  const since = store.acceptor.state.appliedIndex.toString();
  const body = { ...place, node_id: node, incarnation, at: store.displayTime(), since };
  return [{ body, obstacle: addressTaken(cluster, body) ? "another is reached there" : null }];
}

interface Proposal {
  readonly key: string;
  readonly kind: string;
  readonly body: Record<string, unknown>;
}

/** peer.submit: a place is kept by whoever hears of it, and proposed by who leads. */
export function submit(store: Store, from: Sender, { key, kind, body }: Proposal): void {
  if (kind === "move") {
    const place = { host: String(body.control_host), port: Number(body.control_port) };
    const known = store.heardPlaces.get(from.nodeId);
    if (known?.host !== place.host || known.port !== place.port) store.notify("moved");
    store.heardPlaces.set(from.nodeId, place);
    if (store.acceptor.state.leaderId !== store.node) return;
  }
  store.acceptor.submit(from, key, kind, body);
  store.notify("inbox");
}

/** The twin has no peer.places and rehearse: a stranger is refused as by all others. */
export function refuseStranger({ acceptor }: Store, from: Sender): void {
  acceptor.report(from, 0n);
}

/** peer.places */
export function places(store: Store, from: Sender): readonly Row[] {
  refuseStranger(store, from);
  const { acceptor, heardPlaces: heard } = store;
  return acceptor.cluster.members.map(({ node_id, control_host, control_port }) => {
    const { host, port } = heard.get(node_id) ?? { host: control_host, port: control_port };
    return { node_id, host, port };
  });
}

/** node.heard_places */
export function heardPlaces({ acceptor, heardPlaces: heard }: Store): readonly Row[] {
  return [...heard].flatMap(([node_id, { host, port }]) => {
    const member = acceptor.cluster.members.find((one) => one.node_id === node_id);
    const known = member?.control_host === host && member.control_port === port;
    return member === undefined || known ? [] : [{ node_id, host, port }];
  });
}
