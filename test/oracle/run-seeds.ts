/** Seeds of calls in any order, one after another on one store. */
import { Random } from "../support/random.ts";
import { AnyOrder, type Counts, NONE } from "./any-order.ts";
import type { Store } from "./store.ts";
import { Twins } from "./twins.ts";

/** Throws at the first difference, naming the seed that shows it again. */
export async function runSeeds(
  store: Store,
  seeds: { readonly from: number; readonly count: number; readonly steps: number },
): Promise<Counts> {
  const total: Counts = { ...NONE };
  for (let seed = seeds.from; seed < seeds.from + seeds.count; seed++) {
    const run = new AnyOrder(new Random(seed), await Twins.fresh(store));
    await run.run(seeds.steps).catch((error) => {
      const again = `npm run oracle -- --from ${seed} --seeds 1 --steps ${seeds.steps}`;
      throw new Error(`seed ${seed}: ${error.message}\n  again: ${again}`, { cause: error });
    });
    for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += run.counts[key];
  }
  return total;
}
