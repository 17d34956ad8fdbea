/**
 * Writers and a consumer through twenty random failovers: no acknowledged row lost, none written twice (its key would
 * be refused), none missing from the stream. `SEED` repeats a run, `ROUNDS` shortens it. What fits into the minutes of
 * `npm test` is test/cluster/change-stream-17.
 */
import { test } from "vitest";
import { throughFaults } from "../support/change-stream.ts";
import { useCluster } from "../support/fixture.ts";
import type { Fault } from "../support/inject.ts";
import { Random } from "../support/random.ts";

const SEED = process.env.SEED ?? String(Date.now() % 100_000);
const ROUNDS = Number(process.env.ROUNDS ?? 20);

const cluster = useCluster({ env: { PG_REPLICA_DATA_LOGICAL: "true" } });

/** A freeze is rare: silence of the same node again within half a minute is held back (H47). */
function drawFaults(random: Random): Fault[] {
  return Array.from({ length: ROUNDS }, () =>
    random.weighted({
      "kill data server": 3,
      "kill postmaster": 3,
      "kill node": 3,
      switchover: 3,
      "freeze node": 1,
    }),
  );
}

test(`${ROUNDS} random failovers, SEED=${SEED}`, async () => {
  console.log(`SEED=${SEED}`);
  await throughFaults(cluster(), drawFaults(new Random(SEED)));
}, 850_000);
