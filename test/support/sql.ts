/** SQL from outside: single-host connections of `pg`, each with limits, and the five ways a write may be tried. */
import pg from "pg";

export interface ConnectLimits {
  /** Limit of connecting, milliseconds; by default what a host that stands still for a moment needs. */
  readonly connectMs?: number;
  /** Limit of one answer, milliseconds. */
  readonly answerMs?: number;
  readonly options?: string;
}

/** A connection whose loss is no uncaught error; the caller sees it at its next query. */
export async function open(uri: string, limits: ConnectLimits = {}): Promise<pg.Client> {
  const { connectMs = 4000, answerMs = 15_000, options } = limits;
  const client = new pg.Client({
    connectionString: uri,
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    application_name: "outside",
    ...(options === undefined ? {} : { options }),
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    hangUp(client);
    throw error;
  }
  return client;
}

/** Drop a connection without a farewell: a frozen server would never answer it. */
export function hangUp(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}

/**
 * Be told of a commit that the standbys did not confirm, its wait having been cancelled: PostgreSQL reports success and
 * warns (H13). Returns how to hear no more of it.
 */
export function onUnconfirmed(client: pg.Client, act: () => void): () => void {
  const notice = ({ code }: { code?: string | undefined }) => {
    if (code === "01000") act();
  };
  client.on("notice", notice);
  return () => void client.off("notice", notice);
}

/** Work on a connection of its own, closed afterwards whatever happens. */
export async function withClient<T>(
  uri: string,
  limits: ConnectLimits,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await open(uri, limits);
  try {
    return await work(client);
  } finally {
    await Promise.race([client.end().catch(() => undefined), pause(500)]);
    hangUp(client);
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref());

export type Row = Record<string, unknown>;

/** Rows of one statement on a connection of its own. */
export async function rows<T extends Row = Row>(
  uri: string,
  text: string,
  values: readonly unknown[] = [],
  limits: ConnectLimits = {},
): Promise<T[]> {
  return await withClient(uri, limits, async (client) => {
    const result = await client.query<T>(text, [...values]);
    return result.rows;
  });
}

/** The first column of the first row, as text; throws when there is no row. */
export async function value(
  uri: string,
  text: string,
  values: readonly unknown[] = [],
  limits: ConnectLimits = {},
): Promise<string> {
  const [row] = await rows(uri, text, values, limits);
  if (row === undefined) throw new Error(`no row: ${text}`);
  return String(Object.values(row)[0]);
}

/** The first host that answers wins; the error of the last one otherwise. */
export async function firstAnswer<T>(
  uris: readonly string[],
  ask: (uri: string) => Promise<T>,
): Promise<T> {
  let last: unknown = new Error("no host to ask");
  for (const uri of uris) {
    try {
      return await ask(uri);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/** The SQLSTATE of an error, or its class name when the server said nothing. */
export function sqlstate(error: unknown): string {
  if (error instanceof pg.DatabaseError && error.code !== undefined) return error.code;
  return error instanceof Error ? error.message : String(error);
}

/** Run and give back the error that must come; throws when there is none. */
export async function errorOf(work: Promise<unknown>): Promise<pg.DatabaseError> {
  try {
    await work;
  } catch (error) {
    return error as pg.DatabaseError;
  }
  throw new Error("expected an error, got an answer");
}

/** The ways a client may try to write where it must not; `old` was opened before the fault. */
export async function writesThatPass(
  uri: string,
  insert: string,
  old?: pg.Client,
): Promise<string[]> {
  const limits = { connectMs: 1000, answerMs: 1000 };
  const alone = (statements: string[], options?: string) =>
    withClient(
      uri,
      { ...limits, ...(options === undefined ? {} : { options }) },
      async (client) => {
        for (const statement of statements) await client.query(statement);
      },
    );
  const tries: [string, () => Promise<unknown>][] = [
    ["insert", () => alone([insert])],
    ["begin read write", () => alone(["begin read write", insert, "commit"])],
    ["set", () => alone(["set default_transaction_read_only = off", insert])],
    ["PGOPTIONS", () => alone([insert], "-c default_transaction_read_only=off")],
  ];
  if (old !== undefined) tries.push(["old session", () => old.query(insert)]);
  const passed: string[] = [];
  for (const [name, attempt] of tries) {
    await attempt().then(
      () => passed.push(name),
      () => undefined, // refused, as it must be
    );
  }
  return passed;
}
