/** What an operator or a stranger does behind our back, and what a crowd does: F38 to F52. */
import { spawn } from "node:child_process";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import pg from "pg";
import type { Bed } from "../bed/bed.ts";
import { CPU } from "../bed/capabilities.ts";
import { between } from "../bed/links.ts";
import { needProgram, run } from "../programs.ts";
import { hangUp, open, rows, value } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { type Fault, type Injected, nothing, now } from "./fault.ts";

/** `pg_promote()` on a standby: a second primary that nobody appointed. */
async function roguePromotion(bed: Bed, id: number): Promise<Injected> {
  const { uri } = bed.node(id).data;
  const at = now();
  await rows(uri, "select pg_promote(false)");
  return {
    at,
    what: `pg_promote() on node ${id}`,
    proof: async () => "the server took the order",
    heal: nothing,
  };
}

/** Commits wait for nobody, says an operator; we say otherwise. */
async function rogueRule(bed: Bed, id: number): Promise<Injected> {
  const { uri } = bed.node(id).data;
  const rule = () => value(uri, "show synchronous_standby_names");
  const before = await rule();
  const at = now();
  await rows(uri, "alter system set synchronous_standby_names = ''");
  await rows(uri, "select pg_reload_conf()");
  return {
    at,
    what: `synchronous_standby_names emptied on node ${id}`,
    proof: async () =>
      await until("the rule is restored", { limitMs: 10_000 }, async () => {
        const shown = await rule();
        if (shown !== before) throw new NotYet(`it is ${JSON.stringify(shown)}`);
        return "the rule was emptied, and is restored";
      }),
    heal: nothing,
  };
}

/** A receiver that says it is a standby, and confirms what it never keeps (H07). */
async function impostor(bed: Bed, primary: number, standby: number): Promise<Injected> {
  const name = await value(
    bed.node(primary).data.uri,
    "select application_name from pg_stat_replication where application_name like $1",
    [`pgr_${standby}_%`],
  );
  const { hostname, port, password } = new URL(bed.node(primary).data.uri);
  const conninfo = `host=${hostname} port=${port} user=postgres application_name=${name}`;
  const dir = join(bed.top, "impostor");
  await mkdir(dir, { recursive: true });
  const args = ["--synchronous", "--no-loop", "-D", dir, "-d", conninfo];
  const env = { ...process.env, PGPASSWORD: password };
  const at = now();
  const { exitCode, stderr } = await run(needProgram("pg_receivewal"), args, {
    env,
    limitMs: 5000,
  });
  return {
    at,
    what: `somebody streams from node ${primary} as ${name}`,
    proof: async () => {
      if (exitCode === 0 || exitCode === null) throw new Error("it was let in");
      if (!/pg_hba\.conf/.test(stderr)) throw new Error(`refused for another reason: ${stderr}`);
      return stderr.trim().split("\n").at(-1) ?? "";
    },
    heal: nothing,
  };
}

const STRANGER = { name: "stranger", password: "nobody-knows-it" };

/** A stranger takes every connection there is. */
async function crowded(bed: Bed, id: number): Promise<Injected> {
  const { uri } = bed.node(id).data;
  const known = await value(uri, "select count(*) from pg_roles where rolname = $1", [
    STRANGER.name,
  ]);
  if (known === "0") {
    await rows(uri, `create role ${STRANGER.name} login password '${STRANGER.password}'`);
  }
  const own = new URL(uri);
  own.username = STRANGER.name;
  own.password = STRANGER.password;
  const at = now();
  const clients: pg.Client[] = [];
  let refused = false;
  while (!refused) {
    try {
      clients.push(await open(own.toString()));
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && error.code === "53300")) throw error;
      refused = true;
    }
  }
  return {
    at,
    what: `all connections of node ${id} taken`,
    proof: async () => `${clients.length} connections are held, one more was refused`,
    heal: async () => {
      for (const client of clients) hangUp(client);
    },
  };
}

/** A share of one processor for everything of a node, percent. */
async function starved(bed: Bed, id: number, percent: number): Promise<Injected> {
  const group = `${CPU}/${basename(bed.top)}-${id}`;
  await mkdir(group);
  await writeFile(`${group}/cpu.cfs_quota_us`, `${percent * 1000}`);
  const move = async (to: string) => {
    for (const { pid } of bed.processesOf(id)) {
      // One that ended meanwhile needs no processor.
      await writeFile(`${to}/cgroup.procs`, `${pid}`).catch(() => undefined);
    }
  };
  const at = now();
  await move(group);
  return {
    at,
    what: `node ${id} has ${percent} % of a processor`,
    proof: async () => {
      // For a moment somebody in the group wants more than its share, whatever the node itself does just now.
      const greedy = [1, 2].map(() => spawn("sh", ["-c", "while :; do :; done"]));
      try {
        for (const { pid } of greedy) await writeFile(`${group}/cgroup.procs`, `${pid}`);
        return await until("it was throttled", { limitMs: 10_000 }, async () => {
          const stat = await readFile(`${group}/cpu.stat`, "utf8");
          const times = Number(/nr_throttled (\d+)/.exec(stat)?.[1] ?? 0);
          if (times === 0) throw new NotYet(`not yet: ${stat.replaceAll("\n", ", ")}`);
          return `throttled ${times} times`;
        });
      } finally {
        for (const one of greedy) one.kill("SIGKILL");
      }
    },
    heal: async () => {
      await until("the group is empty", { limitMs: 10_000 }, async () => {
        await move(CPU);
        await rmdir(group);
        return true;
      });
    },
  };
}

/** The primary's links go and come again and again, until healed. */
async function flapping(bed: Bed, id: number, others: readonly number[]): Promise<Injected> {
  const at = now();
  let stopping = false;
  let hits = 0;
  const loop = async () => {
    for (let turn = 0; !stopping; turn++) {
      const cut = await bed.network.cut(between([id], others, { how: "drop" }));
      await pauseUnless(300 + (turn % 5) * 500);
      hits += await cut.hits();
      await cut.lift();
      await pauseUnless(1500);
    }
  };
  const pauseUnless = async (ms: number) => {
    const from = now();
    await until("the next turn", { limitMs: ms + 1000 }, () => stopping || now() - from >= ms);
  };
  const running = loop();
  return {
    at,
    what: `links of node ${id} flap`,
    proof: async () =>
      await until("packets were stopped", { limitMs: 10_000 }, () => hits > 0 && `${hits} so far`),
    heal: async () => {
      stopping = true;
      await running;
    },
  };
}

const plain = { needs: [], bound: "untouched", failover: "never", lasts: [2000, 4000] } as const;

export const TRESPASSES: readonly Fault[] = [
  {
    ...plain,
    id: "F38",
    name: "somebody promotes a standby",
    inject: ({ bed, standbys, random }) => roguePromotion(bed, random.pick(standbys)),
  },
  {
    ...plain,
    id: "F39",
    name: "somebody empties the commit rule",
    inject: ({ bed, primary }) => rogueRule(bed, primary),
  },
  {
    ...plain,
    id: "F40",
    name: "somebody streams under a standby's name",
    bold: true,
    inject: ({ bed, primary, standbys, random }) => impostor(bed, primary, random.pick(standbys)),
  },
  {
    ...plain,
    id: "F42",
    name: "all connections of the primary are taken",
    inject: ({ bed, primary }) => crowded(bed, primary),
  },
  {
    ...plain,
    id: "F43",
    name: "the primary's node has half a processor",
    needs: ["cgroup cpu"],
    lasts: [5000, 10_000],
    inject: ({ bed, primary }) => starved(bed, primary, 50),
  },
  {
    ...plain,
    id: "F43",
    name: "the primary's node has a tenth of a processor",
    needs: ["cgroup cpu"],
    bound: "blocked",
    failover: "may",
    lasts: [5000, 8000],
    inject: ({ bed, primary }) => starved(bed, primary, 10),
  },
  {
    ...plain,
    id: "F52",
    name: "the primary's links flap",
    bound: "blocked",
    failover: "may",
    lasts: [10_000, 20_000],
    inject: ({ bed, primary, standbys }) => flapping(bed, primary, standbys),
  },
];
