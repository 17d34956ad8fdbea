/** A failover by hand between two data servers of a bench: what was written last reached nobody. */
import { ACTS } from "../../src/agent/acts.ts";
import { look } from "../../src/agent/observe.ts";
import { fenceServer } from "../../src/agent/servers.ts";
import { type Bench, type Node, orderFor, sql } from "./harness.ts";

/** `from` writes what nobody receives and dies; `to` is appointed and promoted without it. */
export async function failOver(bench: Bench, from: Node, to: Node): Promise<void> {
  await sql(from, "insert into t values (1)");
  await look(to.agent);
  await ACTS.report(to.agent, pledged(bench, to));
  await sql(from, "insert into t select 100 from generate_series(1, 500)");
  await from.agent.state.server?.stop("immediate", 10_000);
  await fenceServer(from.agent, "test");
  await appoint(bench, to);
}

/** The one that reported becomes primary of the epoch that is open. */
export async function appoint(bench: Bench, to: Node): Promise<void> {
  const lsn = to.kept.reports.at(-1)?.lsn ?? 0n;
  const { epoch, timeline } = to.kept.view;
  const before = to.kept.view.history;
  const from_epoch = before.at(-1)?.epoch ?? 0n;
  const next = {
    epoch,
    node_id: to.id,
    timeline: (timeline ?? 0) + 1,
    switch_lsn: lsn,
    from_epoch,
  };
  bench.commit(
    {
      epoch_state: "appointed",
      primary_id: to.id,
      timeline: next.timeline,
      from_lsn: lsn,
      history: [...before, next],
    },
    (id) => (id === to.id ? "primary" : "standby"),
  );
  await ACTS.promote(to.agent, orderFor(to));
  bench.commit({ epoch_state: "serving" });
}

/** The next epoch is open, and this node has pledged for it. */
export function pledged(bench: Bench, node: Node) {
  const epoch = node.kept.view.epoch + 1n;
  const part = {
    epoch,
    pledge: epoch,
    epoch_state: "opened",
    primary_id: null,
    reported: false,
  } as const;
  bench.commit(part, () => "pledged");
  return orderFor(node);
}
