/** A value of 300 MB goes through a change stream whole; one beyond maxMessageBytes is refused by its size. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { ReplicationClient } from "../../src/logical/index.ts";
import { collect, commits, inserts, openBench } from "../logical/bench.ts";

const MB = 1_000_000;

test("300 MB in one value: every byte of it; over maxMessageBytes it is an error of the protocol", async () => {
  const bench = await openBench(undefined, { fsync: "off", max_wal_size: "4GB" });
  try {
    const whole = await bench.slot();
    const bounded = await bench.slot();
    await bench.server.sql("alter table t alter v set storage external");
    await bench.server.sql(
      `insert into t select 1, repeat('0123456789äöü€', ${Math.ceil((300 * MB) / 19)})`,
    );
    const client = await ReplicationClient.connect(whole);
    const [row] = inserts(await collect(client, commits(1)));
    const value = String(row?.new.v);
    expect(Buffer.byteLength(value)).toBeGreaterThan(299 * MB);
    const digest = createHash("md5").update(value).digest("hex");
    expect(digest).toBe(await bench.server.value("select md5(v) from t"));
    const small = await ReplicationClient.connect({ ...bounded, maxMessageBytes: 100 * MB });
    await expect(small.consume(() => undefined)).rejects.toMatchObject({ kind: "protocol" });
  } finally {
    await bench.lab.close();
  }
}, 200_000);
