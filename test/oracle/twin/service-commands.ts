/** Commands of the log as a service: what users put into it, and their keys and values. */
import type { Cluster, EntryFacts, KvRow, KvTotal } from "./cluster.ts";
import { big, type Command, done, int, refused, text } from "./effects.ts";

export const entry: Command = (cluster, body, index, term) => {
  const named = big(body.term);
  if (named !== null && named !== term) return refused(cluster, "stale_term");
  const last = cluster.entries.at(-1);
  const texts = body.data as readonly string[];
  const items = texts.map(
    (data, position): EntryFacts => ({
      index,
      item: position + 1,
      data,
      number: (last?.number ?? 0) + position + 1,
      total_bytes:
        (last?.total_bytes ?? 0) + Buffer.byteLength(texts.slice(0, position + 1).join("")),
      request_id: text(body.request_id),
      node_id: int(body.asked) ?? 0,
    }),
  );
  return done(cluster, { entries: [...cluster.entries, ...items] });
};

export const kvSet: Command = (cluster, body, index) => {
  const key = String(body.key);
  const value = text(body.value);
  const expected = big(body.expected_version);
  const newest = cluster.kv.find((row) => row.key === key && row.replaced_by === null);
  const live = newest?.value === null ? undefined : newest;
  if (expected !== null && expected !== (live?.version ?? 0n)) {
    return refused(cluster, "version_differs");
  }
  if (value === null && live === undefined) return refused(cluster, "absent");
  const made = { key, version: index, value, created_version: live?.created_version ?? index };
  const counted: Partial<KvTotal> =
    value === null ? { deletes: cluster.kvTotal.deletes + 1 } : { puts: cluster.kvTotal.puts + 1 };
  return done(cluster, {
    kv: [...replaced(cluster, (row) => row.key === key, index), { ...made, replaced_by: null }],
    kvTotal: { ...cluster.kvTotal, ...counted },
  });
};

export const kvCompact: Command = (cluster, _body, index) =>
  done(cluster, {
    kv: cluster.kv.filter(({ value, replaced_by }) => value !== null && replaced_by === null),
    kvTotal: { ...cluster.kvTotal, compacted_version: index },
  });

export const kvReset: Command = (cluster, _body, index) => {
  const live = cluster.kv.filter(
    ({ value, replaced_by }) => value !== null && replaced_by === null,
  );
  const deleted = live.map((row): KvRow => ({ ...row, version: index, value: null }));
  return done(cluster, {
    kv: [...replaced(cluster, ({ value }) => value !== null, index), ...deleted],
    kvTotal: { ...cluster.kvTotal, deletes: cluster.kvTotal.deletes + deleted.length },
  });
};

/** The newest versions of some keys are replaced. */
function replaced({ kv }: Cluster, which: (row: KvRow) => boolean, index: bigint): KvRow[] {
  return kv.map((row) =>
    row.replaced_by === null && which(row) ? { ...row, replaced_by: index } : row,
  );
}
