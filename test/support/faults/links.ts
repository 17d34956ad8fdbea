/** Links that are cut, one way or both, or lose some of what they carry: F13 to F21. */

import type { Bed } from "../bed/bed.ts";
import { type Block, between, type Cut, type Party, type Shape } from "../bed/links.ts";
import { NotYet, until } from "../until.ts";
import { type Fault, type Injected, nodes, now, type Scene } from "./fault.ts";

/** Put cuts in force; the proof is that something ran into them. */
export async function cutting(bed: Bed, what: string, cuts: readonly Cut[]): Promise<Injected> {
  const at = now();
  return blocked(at, what, await bed.network.cut(cuts));
}

export function blocked(at: number, what: string, block: Block): Injected {
  return {
    at,
    what,
    proof: async () =>
      await until(`${what}: something ran into it`, { limitMs: 5000 }, async () => {
        const hits = await block.hits();
        if (hits === 0) throw new NotYet("nothing did");
        return `${hits} packets were stopped`;
      }),
    heal: () => block.lift(),
  };
}

const needs = ["packet rules"] as const;
const everyone = ({ bed }: Scene): Party[] => bed.nodes.map(({ id }) => id);

function allPairs(scene: Scene, rest: Omit<Cut, "from" | "to">): Cut[] {
  const ids = everyone(scene);
  return ids.flatMap((a) => ids.filter((b) => b !== a).map((b) => ({ ...rest, from: a, to: b })));
}

/** Random loss on all links between nodes. */
function loss(percent: number, lasts: readonly [number, number]): Fault {
  return {
    id: "F18",
    name: `${percent} % of the packets between nodes are lost`,
    needs,
    network: "namespaces",
    bound: percent > 10 ? "blocked" : "silent",
    failover: percent > 10 ? "may" : "never",
    lasts,
    inject: (scene) =>
      cutting(scene.bed, `${percent} % loss`, allPairs(scene, { how: { loss: percent } })),
  };
}

/** All links between nodes carry what they carry in another way. */
function shaped(name: string, how: Omit<Shape, "from" | "to">, more: Partial<Fault> = {}): Fault {
  return {
    id: "F19",
    name,
    needs: [],
    network: "proxy",
    bound: "silent",
    failover: "never",
    lasts: [6000, 12_000],
    inject: async (scene) => {
      const { network } = scene.bed;
      const at = now();
      const shapes = allPairs(scene, { how: "drop" }).map(({ from, to }) => ({ ...how, from, to }));
      const block = network.shape?.(shapes);
      if (block === undefined) throw new Error(`a network of ${network.kind} has no shapes`);
      return blocked(at, name, block);
    },
    ...more,
  };
}

export const LINKS: readonly Fault[] = [
  {
    id: "F13",
    name: "the primary is cut off from the other nodes, not from clients",
    bold: true,
    needs: [],
    bound: "silent",
    failover: "must",
    lasts: [5000, 10_000],
    inject: ({ bed, primary, standbys }) =>
      cutting(bed, `node ${primary} cut off`, between([primary], standbys, { how: "drop" })),
  },
  {
    id: "F13",
    name: "the primary's plug is pulled",
    needs,
    network: "namespaces",
    bound: "silent",
    failover: "must",
    lasts: [5000, 10_000],
    inject: async ({ bed, primary }) => {
      const at = now();
      return blocked(at, `node ${primary} unplugged`, await bed.network.unplug(primary));
    },
  },
  {
    id: "F13",
    name: "a standby is cut off from the other nodes",
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [4000, 8000],
    inject: ({ bed, standbys, primary, random }) => {
      const id = random.pick(standbys);
      const others = [primary, ...standbys.filter((one) => one !== id)];
      return cutting(bed, `node ${id} cut off`, between([id], others, { how: "drop" }));
    },
  },
  {
    id: "F14",
    name: "the primary hears nobody, all hear it",
    needs: [],
    bound: "silent",
    failover: "may",
    lasts: [6000, 10_000],
    inject: ({ bed, primary, standbys }) =>
      cutting(
        bed,
        `node ${primary} hears nobody`,
        standbys.map((from) => ({ from, to: primary, how: "drop" as const })),
      ),
  },
  {
    id: "F14",
    name: "nobody hears the primary, it hears all",
    needs: [],
    bound: "silent",
    failover: "may",
    lasts: [6000, 10_000],
    inject: ({ bed, primary, standbys }) =>
      cutting(
        bed,
        `nobody hears node ${primary}`,
        standbys.map((to) => ({ from: primary, to, how: "drop" as const })),
      ),
  },
  {
    id: "F15",
    name: "one link of the primary is cut, all others are whole",
    needs: [],
    bound: "silent",
    failover: "may",
    lasts: [6000, 10_000],
    inject: ({ bed, primary, standbys, random }) => {
      const id = random.pick(standbys);
      const cuts = between([primary], [id], { how: "drop" });
      return cutting(bed, `link between ${nodes([primary, id])} cut`, cuts);
    },
  },
  {
    id: "F16",
    name: "the primary's control traffic is cut, its data traffic is not",
    bold: true,
    needs: [],
    bound: "silent",
    failover: "may",
    lasts: [6000, 10_000],
    inject: ({ bed, primary, standbys }) => {
      const cuts = between([primary], standbys, { how: "drop", port: "control" });
      return cutting(bed, `control port of node ${primary} cut off`, cuts);
    },
  },
  {
    id: "F16",
    name: "the primary's data traffic is cut, its control traffic is not",
    bold: true,
    needs: [],
    bound: "blocked",
    failover: "may",
    lasts: [6000, 10_000],
    inject: ({ bed, primary, standbys }) => {
      const cuts = between([primary], standbys, { how: "drop", port: "data" });
      return cutting(bed, `data port of node ${primary} cut off`, cuts);
    },
  },
  {
    id: "F17",
    name: "connections between the primary and the others are reset",
    needs: [],
    bound: "silent",
    failover: "must",
    lasts: [5000, 8000],
    inject: ({ bed, primary, standbys }) =>
      cutting(bed, `node ${primary} reset`, between([primary], standbys, { how: "reset" })),
  },
  shaped("links are late by 20 ms, and up to 30 more", { delayMs: 20, jitterMs: 30 }),
  shaped("links carry 64 kbit/s", { bytesPerSecond: 8000 }, { bound: "blocked", failover: "may" }),
  shaped(
    "connections break after 20 kB",
    { resetAfter: 20_000 },
    { bound: "blocked", failover: "may" },
  ),
  loss(5, [8000, 15_000]),
  loss(20, [8000, 12_000]),
  loss(50, [5000, 8000]),
  {
    id: "F20",
    name: "packets above 1300 bytes vanish around the primary",
    needs,
    network: "namespaces",
    bound: "blocked",
    failover: "may",
    lasts: [5000, 8000],
    inject: ({ bed, primary, standbys }) => {
      const cuts = between([primary], standbys, { how: { long: 1300 } });
      return cutting(bed, `long packets of node ${primary} vanish`, cuts);
    },
  },
  {
    id: "F21",
    name: "clients are cut off from the primary",
    needs: [],
    bound: "blocked",
    failover: "never",
    lasts: [3000, 6000],
    inject: ({ bed, primary }) => {
      const cuts = between(["clients"], [primary], { how: "drop" });
      return cutting(bed, `clients cut off from node ${primary}`, cuts);
    },
  },
];
