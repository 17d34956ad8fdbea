/** States of the failover model that differ only in who is who are one state. */
import type { State } from "./failover.ts";

/** Members are put in an order of their own, and every mention of one follows. */
export function keyOf(state: State): string {
  const { nodes, epochs, opened } = state;
  const roles = nodes.map((_, at) =>
    epochs.map(({ node }) => (node === at + 1 ? "x" : "-")).join(""),
  );
  const faces = nodes.map((node, at) => {
    const report = node.report?.epoch === opened ? node.report : null;
    const { upstream, ...own } = { ...node, report };
    return `${roles[at]}${JSON.stringify(Object.values(own))}${upstream === 0 ? "" : "<"}`;
  });
  const order = nodes
    .map((_, at) => at)
    .sort((a, b) => ((faces[a] as string) < (faces[b] as string) ? -1 : 1));
  const place = new Map(order.map((at, position) => [at + 1, position]));
  const sorted = order.map((at) => `${faces[at]}${place.get(nodes[at]?.upstream ?? 0) ?? ""}`);
  const { rule, nextRule, commits, written, acked, crashes, restarts, fault } = state;
  const lines = epochs.map(({ epoch, timeline, from }) => [epoch, timeline, from]);
  return `${sorted.join("|")}${JSON.stringify([lines, opened, rule, nextRule, commits, written, acked, crashes, restarts, fault])}`;
}
