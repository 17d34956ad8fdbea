/** The acceptor, function by function, on a real control store; crashes are real. The answers are the promise. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { readIdentity } from "../../../src/config/identity.ts";
import { parseLsn } from "../../../src/core/ids.ts";
import { makeNonce } from "../../../src/core/lease.ts";
import { connect } from "../../../src/db/connect.ts";
import { agentView, follow, makeReport, makeVoidReport } from "../../../src/db/node.ts";
import * as peer from "../../../src/db/peer.ts";
import { type Entry, echoLease, markSilent, sample } from "../../../src/db/raft.ts";
import { ownControlStore } from "../../../src/worker/control-store.ts";
import { type TestNode, testNode } from "../../control/node.ts";
import { type Command, replay } from "../../support/datadriven.ts";

const FILES = ["vote", "append", "apply", "strangers", "pledge", "lease"] as const;
const CLIENT = "00000000-0000-4000-8000-000000000001";
let node: TestNode;

beforeAll(async () => {
  node = await testNode();
  await node.create();
  await node.start();
}, 60_000);
afterAll(() => node?.close());

test.each(FILES)("the acceptor keeps what %s.txt says", { timeout: 60_000 }, async (name) => {
  await node.stop();
  await node.close();
  node = await testNode();
  await node.create();
  await node.start();
  await replay(`test/sql/peer/testdata/${name}.txt`, (command) => handle(command));
});

test("a vote and an append are durable whatever session, role and database ask for (H51)", async () => {
  await node.sql("alter role postgres set synchronous_commit = off");
  // No temporary table: its session would drop it when it ends, with WAL of its own, while the vote is looked at.
  await node.sql(
    "update raft.hard_state set current_term = current_term + 1, voted_for = null, leader_id = null",
  );
  const db = await connect(ownControlStore(node.config, "test"));
  try {
    await db.query("set synchronous_commit = off");
    const me = await sender(1);
    const { bootId, heard, term, lastIndex, lastTerm } = await sample(db);
    await markSilent(db, { bootId, heard });
    const ask = { term: term + 1n, lastIndex, lastTerm, counter: undefined, transfer: false };
    expect(await peer.requestVote(db, me, ask)).toMatchObject({ granted: true });
    const { rows } = await db.query(
      "select pg_current_wal_insert_lsn() = pg_current_wal_flush_lsn() as durable",
    );
    expect(rows[0]).toEqual({ durable: true });
  } finally {
    await db.end();
    await node.sql("alter role postgres reset synchronous_commit");
  }
});

test("asking for a lease and echoing it touch no transaction, and so no disk (H69)", async () => {
  const db = await connect(ownControlStore(node.config, "test"));
  try {
    const me = await sender(1);
    await db.query("begin");
    await peer.askLease(db, me, { nonce: makeNonce(1n, 0.5), hurry: false });
    await echoLease(db, makeNonce(1n, 0.5));
    const { rows } = await db.query("select pg_current_xact_id_if_assigned() as id");
    await db.query("commit");
    expect(rows[0]).toEqual({ id: null });
  } finally {
    await db.end();
  }
});

async function sender(id: number): Promise<peer.Sender> {
  const own = await readIdentity(node.config.dir);
  if (own === undefined) throw new Error("no identity");
  const incarnation = id === 1 ? own.incarnation : `00000000-0000-4000-8000-00000000000${id + 1}`;
  return { clusterId: own.clusterId, nodeId: id, incarnation };
}

/** `1/noop,1/pause` after index 4: entries 5 and 6 of term 1; `x2/noop` repeats sequence 2. */
function entriesOf(text: string | undefined, after: bigint): Entry[] {
  if (text === undefined || text === "") return [];
  return text.split(",").map((one, offset) => {
    const [, term = "0", kind = "", json = "{}"] = /^(\d+)\/(\w+)(?:\/(.*))?$/.exec(one) ?? [];
    const index = after + BigInt(offset) + 1n;
    const repeated = /^x(\d+)$/.exec(json)?.[1];
    const body = repeated === undefined ? JSON.parse(json.replaceAll(";", ",")) : {};
    return {
      index,
      term: BigInt(term),
      kind,
      client: CLIENT,
      sequence: repeated === undefined ? index + 1000n * BigInt(term) : BigInt(repeated),
      body: { at: "2026-01-01T00:00:00Z", ...body },
    };
  });
}

async function handle({ name, args }: Command): Promise<string> {
  const db = await connect(ownControlStore(node.config, "test"));
  try {
    const command = COMMANDS[name];
    if (command === undefined) throw new Error(`no command ${name}`);
    return await command(db, args);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const cause = (error as { cause?: { code?: string } }).cause;
    return `error ${cause?.code ?? code}: ${message.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "<id>")}`;
  } finally {
    await db.end();
  }
}

/** A nonce is a small number in its epoch. */
const nonceOf = (args: Command["args"]) =>
  makeNonce(BigInt(args.epoch ?? 0), 0) + BigInt(args.nonce ?? 0);
const smallNonce = (nonce: bigint) => `${nonce >> 32n}/${nonce & 0xffffffffn}`;

type Handler = (
  db: Awaited<ReturnType<typeof connect>>,
  args: Readonly<Record<string, string>>,
) => Promise<string>;

const COMMANDS: Readonly<Record<string, Handler>> = {
  silence: async (db) => {
    const { bootId, heard } = await sample(db);
    return (await markSilent(db, { bootId, heard })) ? "marked" : "heard something";
  },
  "pre-vote": async (db, args) => {
    const reply = await peer.preVote(db, await sender(Number(args.from)), await voteOf(db, args));
    return `term=${reply.term} ${reply.granted ? "granted" : `refused: ${reply.reason}`}`;
  },
  vote: async (db, args) => {
    const ask = { ...(await voteOf(db, args)), transfer: args.transfer === "yes" };
    const reply = await peer.requestVote(db, await sender(Number(args.from)), ask);
    return `term=${reply.term} ${reply.granted ? "granted" : `refused: ${reply.reason}`}`;
  },
  heartbeat: async (db, args) => {
    const me = await sender(Number(args.from));
    const reply = await peer.heartbeat(db, me, BigInt(args.term ?? 0));
    return `term=${reply.term} ${reply.reason}`;
  },
  ask: async (db, args) => {
    const ask = { nonce: nonceOf(args), hurry: false };
    const reply = await peer.askLease(db, await sender(Number(args.from)), ask);
    return `leader=${reply.leader_id ?? "-"} echo=${smallNonce(reply.echo)}`;
  },
  asked: async (db) => `asked=${smallNonce((await sample(db)).leaseAsked)}`,
  echo: async (db, args) => {
    await echoLease(db, nonceOf(args));
    return "ok";
  },
  append: async (db, args) => {
    const [prevTerm = 0n, prevIndex = 0n] = (args.prev ?? "0/0").split("/").map(BigInt);
    const reply = await peer.appendEntries(db, await sender(Number(args.from)), {
      term: BigInt(args.term ?? 0),
      prevIndex,
      prevTerm,
      entries: entriesOf(args.entries, prevIndex),
      commit: BigInt(args.commit ?? 0),
    });
    const last = `last=${reply.last_term ?? "?"}/${reply.last_index}`;
    return `term=${reply.term} ${reply.reason} ${last} applied=${reply.applied_index}`;
  },
  state: async (db) => {
    const s = await sample(db);
    return `term=${s.term} leader=${s.leaderId ?? "-"} last=${s.lastTerm}/${s.lastIndex} commit=${s.commitIndex} applied=${s.appliedIndex} alarm=${s.alarm ?? "-"}`;
  },
  log: async (db) => {
    const { rows } = await db.query(
      "select string_agg(format('%s:%s/%s', index, term, kind), ' ' order by index) as log from raft.log",
    );
    return rows[0].log ?? "empty";
  },
  outcomes: async (db) => {
    const { rows } = await db.query(
      `select string_agg(format('%s:%s', log_index, outcome), ' ' order by log_index) as text
         from cluster.proposal`,
    );
    return rows[0].text ?? "none";
  },
  events: async (db) => {
    const { rows } = await db.query(
      "select string_agg(format('%s %s', event_id, event), ', ' order by event_id) as text from cluster.event",
    );
    return rows[0].text ?? "none";
  },
  view: async (db) => {
    const view = await agentView(db);
    return `epoch=${view.epoch} ${view.epoch_state} goal=${view.goal} primary=${view.primary_id ?? "-"} pledge=${view.pledge} followed=${view.followed} rule='${view.standby_names.replaceAll(/_[0-9a-f]{12}/g, "")}'`;
  },
  follow: async (db, args) => {
    await follow(db, BigInt(args.epoch ?? 0));
    return "ok";
  },
  report: async (db, args) => {
    await makeReport(db, BigInt(args.epoch ?? 0), parseLsn(args.lsn ?? "0/0"), "test");
    return "ok";
  },
  void: async (db, args) => {
    await makeVoidReport(db, BigInt(args.epoch ?? 0), BigInt(args.nothing ?? 0), "test");
    return "ok";
  },
  fetch: async (db, args) => {
    const reply = await peer.report(db, await sender(2), BigInt(args.epoch ?? 0));
    const { pledge, history_epoch: epoch } = reply;
    const lsn = reply.lsn === null ? "void" : reply.lsn.toString(16);
    return `pledge=${pledge} report=${epoch === null ? "none" : `${epoch}:${lsn}`}`;
  },
  // A crash of the store: immediate stop, recovery, unlogged tables empty.
  crash: async (db) => {
    await db.query("select pg_postmaster_start_time()");
    const { server } = await node.start();
    await server.stop("immediate", 10_000);
    await node.start();
    return "ok";
  },
};

async function voteOf(
  db: Awaited<ReturnType<typeof connect>>,
  args: Readonly<Record<string, string>>,
): Promise<peer.VoteRequest> {
  const [lastTerm = 0n, lastIndex = 0n] = (args.last ?? "0/0").split("/").map(BigInt);
  const { bootId, heard } = await sample(db);
  const counters = {
    current: { bootId, heard },
    stale: { bootId, heard: heard - 1n },
    "other-boot": { bootId: "0", heard },
  } as const;
  const counter = counters[args.counter as keyof typeof counters];
  return { term: BigInt(args.term ?? 0), lastTerm, lastIndex, counter };
}
