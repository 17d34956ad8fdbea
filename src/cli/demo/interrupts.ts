/** Ctrl-C: the first asks the demo to stop, the second to hurry. */

export interface Interrupts {
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP, or at a failure. */
  readonly stop: AbortSignal;
  /** Aborts at the next signal after that. */
  readonly hurry: AbortSignal;
  /** Stop because the demo cannot go on. */
  fail(why: Error): void;
  /** Why it could not. */
  failure(): Error | undefined;
}

export function interrupts(): Interrupts {
  const stop = new AbortController();
  const hurry = new AbortController();
  let failure: Error | undefined;
  const onSignal = (name: string) => {
    const next = stop.signal.aborted ? hurry : stop;
    next.abort(new Error(`asked to stop by ${name}`));
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  return {
    stop: stop.signal,
    hurry: hurry.signal,
    fail(why) {
      failure ??= why;
      stop.abort(why);
    },
    failure: () => failure,
  };
}
