/** Observe, decide, act: one act at a time, ended early when a newer order is seen. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import { together } from "../clock/together.ts";
import { type Act, decide, type Facts } from "../core/agent-rules.ts";
import { BrokenInvariant } from "../core/invariant.ts";
import type { Hints } from "../db/hints.ts";
import type { AgentView } from "../db/node.ts";
import { ACTS } from "./acts.ts";
import { runChores } from "./chores.ts";
import { type Agent, isAlive, type Order, StaleOrder } from "./context.ts";
import { classify } from "./disk.ts";
import { factsOf, look } from "./observe.ts";

const FIRST_BACKOFF_MS = 50;
/** How old the view may be while nothing is heard and nothing is done. */
const VIEW_MS = 2000;
const LAST_BACKOFF_MS = 5000;
/** A turn waits for its store, 5 s at most, and for files. */
const MOVING_LOOK_MS = 5000;
const STUCK_LOOKS = 6;

interface Running {
  readonly act: Act;
  readonly view: AgentView;
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

interface Loop {
  running: Running | undefined;
  /** Not before this monotonic time, after failures. */
  retryAt: number;
  failures: number;
  lastKey: string;
  /** What was last to be done, and in which epoch, under which rule: a dead server's rest changes nothing of that. */
  lastOrder: string;
  lookedAt: number;
  viewedAt: number;
  /** The control store did not answer, and that was told. */
  blind: boolean;
}

/** Until `signal` aborts. The data server runs on afterwards. */
export async function runLoop(agent: Agent, hints: Hints, signal: AbortSignal): Promise<void> {
  let begun = 0;
  const began = () => {
    begun += 1;
  };
  await together({ signal, clock: agent.clock }, (end) => [
    takeTurns(agent, { hints, began }, end),
    runChores(agent, end),
    whileMoving(() => begun, agent.clock, end),
  ]);
}

/**
 * All that a turn waits for has a limit, so one that does not end is stuck, and would hold the primary's role without
 * doing anything for it: the worker ends, and its next life adopts the server. Looks are counted, not time: a process
 * that was frozen has missed both.
 */
export async function whileMoving(
  turns: () => number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let [seen, still] = [turns(), 0];
  while (!signal.aborted) {
    await clock.sleep(MOVING_LOOK_MS, signal);
    still = turns() === seen ? still + 1 : 0;
    seen = turns();
    if (still === STUCK_LOOKS) {
      const seconds = (STUCK_LOOKS * MOVING_LOOK_MS) / 1000;
      throw new Error(`the agent's loop has stood still for ${seconds} s`);
    }
  }
}

async function takeTurns(
  agent: Agent,
  { hints, began }: { readonly hints: Hints; readonly began: () => void },
  signal: AbortSignal,
): Promise<void> {
  const loop: Loop = {
    running: undefined,
    retryAt: 0,
    failures: 0,
    lastKey: "",
    lastOrder: "",
    lookedAt: Number.NEGATIVE_INFINITY,
    viewedAt: Number.NEGATIVE_INFINITY,
    blind: false,
  };
  try {
    let hinted = true;
    while (!signal.aborted) {
      began();
      await turn(agent, loop, { hinted });
      hinted = await hints.within(untilTurnMs(loop, agent.clock.now(), probeMs(agent)), signal);
    }
  } finally {
    loop.running?.controller.abort(new StaleOrder("the worker stops"));
    await loop.running?.done;
  }
}

/** A standby is asked less often than a primary: no commit waits for what it says. */
function probeMs({ config, state }: Agent): number {
  return state.look?.in_recovery === true ? 2 * config.timing.probeMs : config.timing.probeMs;
}

/** In step with the worker's other loops; sooner when an act that failed is to be tried again, and does not run yet. */
export function untilTurnMs(
  { running, failures, retryAt }: Pick<Loop, "running" | "failures" | "retryAt">,
  now: number,
  probeMs: number,
): number {
  const beat = untilBeat(now, probeMs);
  const waits = running === undefined && failures > 0 && retryAt > now;
  return Math.max(1, waits ? Math.min(beat, retryAt - now) : beat);
}

async function turn(agent: Agent, loop: Loop, { hinted }: { hinted: boolean }): Promise<void> {
  try {
    await readView(agent, loop, { hinted });
  } catch (error) {
    // Nothing learnt, nothing done: the control store may be restarting.
    if (!loop.blind) {
      agent.log.warn(
        { event: "agent.failed", error: String(error) },
        "the control store did not answer",
      );
    }
    loop.blind = true;
    return;
  }
  loop.blind = false;
  endStale(agent, loop);
  const alive = isAlive(agent);
  noticeDeath(agent, alive);
  if (loop.running === undefined) {
    try {
      await next(agent, loop, alive);
    } catch (error) {
      if (error instanceof BrokenInvariant) throw error;
      // The files cannot be read now: nothing is decided on guesses.
      const problem = sentenceOf(error);
      if (problem !== agent.state.problem) {
        agent.log.warn(
          { event: "agent.failed", error: errorText(error) },
          "could not look at the files",
        );
      }
      agent.state.problem = problem;
    }
  }
  lookAndPublish(agent, loop);
}

/** What is committed changes with a notification; without one it is read now and then, in case it was lost (H65). */
async function readView(agent: Agent, loop: Loop, { hinted }: { hinted: boolean }): Promise<void> {
  const now = agent.clock.now();
  const settled = !hinted && loop.running === undefined && loop.failures === 0;
  if (settled && now - loop.viewedAt < VIEW_MS) return;
  agent.view = await agent.store.view();
  loop.viewedAt = now;
}

/** A newer epoch, another goal, or another rule ends the act under way (H09). */
function endStale(agent: Agent, loop: Loop): void {
  const { running } = loop;
  const { view } = agent;
  if (running === undefined) return;
  const old = running.view;
  const same =
    old.epoch === view.epoch &&
    old.goal === view.goal &&
    old.pledge === view.pledge &&
    (running.act !== "apply_rule" || old.rule_version === view.rule_version);
  if (!same) {
    running.controller.abort(
      new StaleOrder(`${running.act} was ordered in epoch ${old.epoch}, goal ${old.goal}`),
    );
  }
}

function noticeDeath({ state, clock }: Agent, alive: boolean): void {
  if (alive) return;
  if (state.downSince === undefined) state.downSince = clock.now();
}

/** Whether the server lives is read from files, in this turn's beginning: again only after a wait. */
async function next(agent: Agent, loop: Loop, aliveBefore: boolean): Promise<void> {
  const { clock, log, state } = agent;
  // Under a running server of ours only our own acts change what the files say, and they forget it.
  const known = aliveBefore && state.disk?.kind === "ours" ? state.disk : undefined;
  const disk = known ?? (await classify(agent));
  const alive = known !== undefined || isAlive(agent);
  state.disk = disk;
  if (!alive) forgetRun(agent);
  const facts = factsOf(agent, disk, alive);
  const { pos, act, why, when } = decide(facts);
  const { epoch, rule_version: version } = agent.view;
  const key = `${pos} ${epoch} ${version}`;
  const rests = when.rest === "fresh";
  const order = rests ? loop.lastOrder : `${act} ${epoch} ${version}`;
  if (order !== loop.lastOrder) loop.failures = 0;
  loop.lastOrder = order;
  if (key !== loop.lastKey) {
    loop.lastKey = key;
    log.info({ event: "agent.decided", pos, act, epoch, ...facts }, why);
    if (!rests && (act === "wait" || act === "refuse")) state.problem = problemOf(act, pos, why);
  }
  if (act === "wait" || act === "refuse") return;
  if (loop.failures > 0 && clock.now() < loop.retryAt) return;
  begin(agent, loop, { act, why }, facts);
}

/** Waits that are a trouble for somebody say so; the others are normal. */
function problemOf(act: Act, pos: number, why: string): string | undefined {
  const troubles = new Set([106, 230, 250, 280, 330, 455, 470, 660]);
  return act === "wait" && troubles.has(pos) ? why : undefined;
}

/** A dead run's promotion is over, whatever it was. */
function forgetRun({ state }: Agent): void {
  state.leads = undefined;
  state.promoting = false;
  state.look = undefined;
}

function begin(
  agent: Agent,
  loop: Loop,
  { act, why }: { readonly act: Exclude<Act, "wait" | "refuse">; readonly why: string },
  facts: Facts,
): void {
  const { view, clock, log, state } = agent;
  const controller = new AbortController();
  const order: Order = { epoch: view.epoch, view, why, signal: controller.signal };
  const started = clock.now();
  const done = ACTS[act](agent, order)
    .then(
      () => {
        loop.failures = 0;
        state.problem = undefined;
        log.debug(
          { event: "agent.decided", act, tookMs: Math.round(clock.now() - started) },
          "done",
        );
      },
      (error: unknown) => {
        if (controller.signal.aborted || error instanceof StaleOrder) {
          loop.lastKey = "";
          return;
        }
        loop.failures += 1;
        const backoff = FIRST_BACKOFF_MS * 2 ** Math.min(loop.failures - 1, 10);
        loop.retryAt = clock.now() + Math.min(LAST_BACKOFF_MS, backoff);
        state.problem = sentenceOf(error);
        log.warn(
          { event: "agent.failed", act, ...facts, error: errorText(error) },
          `${act} failed`,
        );
      },
    )
    .then(() => {
      state.disk = undefined;
      loop.running = undefined;
      agent.nudge();
    });
  loop.running = { act, view, controller, done };
}

/** One line: what the server itself said last, when it said why it cannot go on. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [first = "", ...more] = error.message.split("\n");
  const fatal = more.filter((line) => /(FATAL|PANIC|DETAIL): /.test(line)).slice(0, 2);
  return [first, ...fatal.map((line) => line.replace(/^.*?(FATAL|PANIC|DETAIL): */, ""))].join(
    ": ",
  );
}

function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The data server is asked each probe. Not awaited: a silent one must not hold up the loop. */
function lookAndPublish(agent: Agent, loop: Loop): void {
  const now = agent.clock.now();
  // Beats come a little early or late: half a beat ago is too soon, a whole one is not.
  if (now - loop.lookedAt >= probeMs(agent) / 2) {
    loop.lookedAt = now;
    void look(agent).then(() => Promise.all([agent.publishChanges(), agent.lookout.watch()]));
  } else {
    void agent.publishChanges();
  }
}
