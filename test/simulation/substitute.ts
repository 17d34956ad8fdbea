/**
 * Puts the adapters under the product's code: whatever a module of src/ imports from the list below comes from
 * `adapters/` instead. Everything else in src/ runs as it is. Also takes real time and real chance away.
 */
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { currentProc, type Handle } from "./engine.ts";
import { worldOrNone } from "./world.ts";

const HERE = import.meta.dirname;
const SOURCE = join(HERE, "..", "..", "src");

/** Packages and built-in modules. */
const PACKAGES: Readonly<Record<string, string>> = {
  "node:fs": "fs.ts",
  "node:fs/promises": "fs-promises.ts",
  "node:net": "net.ts",
  "node:child_process": "child-process.ts",
  "node:crypto": "crypto.ts",
  pg: "pg.ts",
  "pg-listen": "pg-listen.ts",
  pino: "stubs.ts",
  execa: "stubs.ts",
};

/** Modules of src/ that are nothing but a way to the outside. */
const MODULES: Readonly<Record<string, string>> = {
  "postgres/process-tree.ts": "process-tree.ts",
  "postgres/control-file.ts": "control-file.ts",
  "postgres/owner.ts": "host-programs.ts",
  "postgres/binaries.ts": "host-programs.ts",
  "postgres/initdb.ts": "host-programs.ts",
  "db/install.ts": "host-programs.ts",
  "db/prepared.ts": "prepared.ts",
  "postgres/deadman.ts": "deadman.ts",
  "postgres/priority.ts": "priority.ts",
  "jobs/long-work.ts": "long-work.ts",
  "worker/control-store.ts": "control-store.ts",
  "worker/apply-handlers.ts": "apply-handlers.ts",
  "worker/attend.ts": "attend.ts",
  "worker/ballast.ts": "ballast.ts",
  "worker/damage.ts": "damage.ts",
  "worker/listeners.ts": "listeners.ts",
  "worker/logins.ts": "logins.ts",
  "worker/pgraft-settings.ts": "pgraft-settings.ts",
  "worker/tls.ts": "tls.ts",
  "agent/gauges.ts": "gauges.ts",
  "agent/archive.ts": "archive.ts",
  "agent/collations.ts": "collations.ts",
  "agent/wal-end.ts": "wal-end.ts",
  "agent/processes.ts": "processes.ts",
};

function adapter(name: string): string {
  return pathToFileURL(join(HERE, "adapters", name)).href;
}

export function substitute(): void {
  const byUrl = new Map(
    Object.entries(MODULES).map(([path, name]) => [
      pathToFileURL(join(SOURCE, path)).href,
      adapter(name),
    ]),
  );
  const fromSource = (url: string | undefined) =>
    url?.startsWith("file:") === true && fileURLToPath(url).startsWith(SOURCE);
  registerHooks({
    resolve(specifier, context, next) {
      if (!fromSource(context.parentURL)) {
        const resolved = next(specifier, context);
        return { ...resolved, url: byUrl.get(resolved.url) ?? resolved.url };
      }
      const name = PACKAGES[specifier];
      if (name !== undefined)
        return { url: adapter(name), format: "module-typescript", shortCircuit: true };
      const resolved = next(specifier, context);
      return { ...resolved, url: byUrl.get(resolved.url) ?? resolved.url };
    },
  });
  takeTimeAway();
  AbortSignal.any = anyOf;
  // Half of what a failed connection costs would be its stack.
  Error.stackTraceLimit = 0;
}

/**
 * Node.js keeps every combined signal that somebody listens to until it is aborted, and with it the whole world of a
 * run that just ended: these are kept by their sources alone.
 */
function anyOf(signals: Iterable<AbortSignal>): AbortSignal {
  const any = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) any.abort(signal.reason);
    else signal.addEventListener("abort", () => any.abort(signal.reason), { once: true });
  }
  return any.signal;
}

/** Timers, clocks and chance of a simulated process are virtual; the simulator's own are refused. */
function takeTimeAway(): void {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    now: Date.now,
    random: Math.random,
  };
  const virtual = (
    run: () => void,
    ms: number,
    again: boolean,
  ): { handle: Handle; unref(): unknown } => {
    const { engine } = worldOrNone() as NonNullable<ReturnType<typeof worldOrNone>>;
    const proc = currentProc();
    const timer = { handle: { cancel: () => undefined } as Handle, unref: () => timer };
    const fire = () => {
      if (again) timer.handle = engine.after(ms, "interval", fire, proc);
      run();
    };
    timer.handle = engine.after(ms, "timer", fire, proc);
    return timer;
  };
  const inside = () => worldOrNone() !== undefined && currentProc() !== undefined;
  Object.assign(globalThis, {
    setTimeout: (run: () => void, ms = 0, ...rest: unknown[]) =>
      inside() ? virtual(run, ms, false) : real.setTimeout(run, ms, ...rest),
    setInterval: (run: () => void, ms = 0) => virtual(run, ms, true),
    clearTimeout: (timer: { handle?: Handle } | undefined) =>
      timer?.handle === undefined
        ? real.clearTimeout(timer as unknown as NodeJS.Timeout)
        : timer.handle.cancel(),
    clearInterval: (timer: { handle?: Handle } | undefined) => timer?.handle?.cancel(),
  });
  const engineNow = () => worldOrNone()?.engine.now ?? 0;
  Math.random = () =>
    inside() ? (worldOrNone()?.engine.random("chance").next() ?? 0) : real.random();
  Date.now = () => (inside() ? 1_700_000_000_000 + Math.floor(engineNow()) : real.now());
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...given: [] | [string | number]) {
      if (given.length === 0) super(Date.now());
      else super(given[0]);
    }
  } as DateConstructor;
  const performanceNow = performance.now.bind(performance);
  performance.now = () => (inside() ? engineNow() : performanceNow());
}
