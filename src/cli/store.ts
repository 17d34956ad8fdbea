/** Reaching a control store: this node's own by its socket, or any server by URI. */
import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import type { TlsFiles } from "../config/tls.ts";
import { type ConnectOptions, connect } from "../db/connect.ts";
import { hasCode } from "../postgres/files.ts";
import { CommandFailed, configOf, UsageError } from "./command.ts";
import { describeError } from "./errors.ts";

export type Store = Awaited<ReturnType<typeof connect>>;

const CONNECT_LIMIT_MS = 3000;

/** How to reach the control store of the node `config` describes: its private socket, as superuser. */
export function ownStore(config: Config, limits: { readonly statementLimitMs: number }) {
  const options: ConnectOptions = {
    host: join(config.dir, "run/control"),
    port: config.control.port,
    user: "postgres",
    applicationName: "pg-replica",
    connectLimitMs: CONNECT_LIMIT_MS,
    statementLimitMs: limits.statementLimitMs,
  };
  return options;
}

/** Run `work` on a connection that is closed afterwards. `--uri` wins over `--config`. */
export async function withStore<T>(
  {
    uri,
    config,
    tls,
  }: {
    readonly uri?: string | undefined;
    readonly config?: string | undefined;
    /** How a server is reached whose URI says nothing of it. */
    readonly tls?: TlsFiles | undefined;
  },
  statementLimitMs: number,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  if (uri !== undefined && config !== undefined) {
    throw new UsageError("--uri: expected either --uri or --config, not both");
  }
  const places =
    uri === undefined
      ? [ownStore(await configOf(config), { statementLimitMs })]
      : parseUri(uri, tls).map((place) => ({ ...place, statementLimitMs }));
  const store = await firstThatAnswers(places);
  try {
    return await work(store);
  } finally {
    await store.end();
  }
}

async function firstThatAnswers(places: readonly ConnectOptions[]): Promise<Store> {
  const why: string[] = [];
  let absent = false;
  for (const place of places) {
    try {
      return await connect(place);
    } catch (error) {
      const [said] = describeError(error);
      why.push(`${place.host}:${place.port}: ${said}`);
      absent ||= hasCode(error, "ECONNREFUSED") || hasCode(error, "ENOENT");
    }
  }
  const hint = absent ? " (is the node running? pg-replica run starts it)" : "";
  throw new CommandFailed(`control store: ${why.join("; ")}: expected it to answer${hint}`);
}

/** libpq's form, several hosts included; what we would silently ignore is refused. */
export function parseUri(text: string, usualTls?: TlsFiles): ConnectOptions[] {
  const shape =
    /^postgres(?:ql)?:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/;
  const match = shape.exec(text);
  const expected = "expected postgresql://user:password@host:port[,host:port…]/database";
  if (match === null) throw new UsageError(`--uri: not a URI: ${expected}`);
  const [, user = "", password, hosts = "", database = "", parameters = ""] = match;
  const tls = tlsOf(new URLSearchParams(parameters), usualTls);
  return hosts.split(",").map((one) => {
    const [, host = "", port = "5432"] = /^(\[[^\]]+\]|[^:]*)(?::(\d+))?$/.exec(one) ?? [];
    if (host === "") throw new UsageError(`--uri: ${one}: expected host:port`);
    return {
      host: decodeURIComponent(host.replace(/^\[|\]$/g, "")),
      port: Number(port),
      user: decodeURIComponent(user) || "postgres",
      database: decodeURIComponent(database) || "postgres",
      ...(password === undefined ? {} : { password: decodeURIComponent(password) }),
      tls,
      applicationName: "pg-replica",
      connectLimitMs: CONNECT_LIMIT_MS,
    };
  });
}

/** libpq's words for it. Encrypted and not checked who it is, or half checked, is nothing we do. */
function tlsOf(parameters: URLSearchParams, usual: TlsFiles | undefined): TlsFiles | undefined {
  const mode = parameters.get("sslmode");
  if (mode === null) return usual;
  if (["disable", "allow", "prefer"].includes(mode)) return undefined;
  if (mode !== "verify-full") {
    throw new UsageError(`--uri: sslmode=${mode}: expected disable, allow, prefer or verify-full`);
  }
  const file = (name: string) => parameters.get(name) ?? undefined;
  const [ca = usual?.ca, cert, key] = ["sslrootcert", "sslcert", "sslkey"].map(file);
  if (ca === undefined) {
    throw new UsageError(
      "--uri: sslrootcert: missing: expected the authority's file, as sslmode=verify-full",
    );
  }
  return { ca, ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
}
