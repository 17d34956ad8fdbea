/** Errors as lines for people: what was expected of what; the stack is for PG_REPLICA_DEBUG. */

/** What errors of ours and of pg carry beside their message. */
interface Told {
  readonly message: string;
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly hint?: unknown;
  readonly errors?: unknown;
}

/** One line each: the message (ConfigError has several), then detail and hint where SQL gave them. */
export function describeError(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const told = error as Error & Told;
  const message = told.message === "" ? nameless(told) : told.message;
  const lines = message.split("\n");
  if (typeof told.detail === "string" && told.detail !== "") lines.push(`detail: ${told.detail}`);
  if (typeof told.hint === "string" && told.hint !== "") lines.push(`hint: ${told.hint}`);
  return lines;
}

/** Node's AggregateError (a refused connection to a name with two addresses) says nothing itself. */
function nameless({ errors, code }: Told): string {
  const inner = Array.isArray(errors) ? errors.map((one) => describeError(one)[0]) : [];
  return inner.length > 0 ? inner.join("; ") : `error ${String(code ?? "without a message")}`;
}
