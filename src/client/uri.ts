/** Connection strings as libpq reads them: several hosts, each with its port, and the parameters we know. */
import { ClientError } from "./errors.ts";
import type { PoolOptions } from "./options.ts";
import type { Mode } from "./routing.ts";

/** What libpq's words mean here. */
const MODES: Readonly<Record<string, Mode>> = {
  any: "any",
  "read-write": "read-write",
  primary: "read-write",
  "read-only": "read-only",
  standby: "read-only",
  "prefer-standby": "prefer-standby",
};
const TLS_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;

const wrong = (why: string) => new ClientError("CONFIG", `connection string: ${why}`);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new ClientError("CONFIG", "connection string: a % is not followed by two hex digits", {
      cause,
    });
  }
}

/** `postgresql://user:password@db1:5433,db2/shop?target_session_attrs=read-write` as options. Names no password. */
export function parseUri(uri: string): PoolOptions {
  const match =
    /^postgres(?:ql)?:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(
      uri,
    );
  if (match === null)
    throw wrong("expected postgresql://[user[:password]@]host[:port][,…][/database]");
  const [, user = "", password, hostText = "", database = "", query = ""] = match;
  const params = new Map(
    query
      .split("&")
      .filter(Boolean)
      .map((pair): [string, string] => {
        const at = pair.indexOf("=");
        if (at < 1) throw wrong(`parameter ${JSON.stringify(pair)} has no value`);
        return [decoded(pair.slice(0, at)), decoded(pair.slice(at + 1))];
      }),
  );
  const take = (name: string) => {
    const value = params.get(name);
    params.delete(name);
    return value === "" ? undefined : value;
  };
  const hosts = hostsOf(hostText, take("host"), take("port"));
  const options: PoolOptions = {
    hosts,
    ...given("user", decoded(user) || take("user")),
    ...given("password", password === undefined ? take("password") : decoded(password)),
    ...given("database", decoded(database) || take("dbname")),
    ...given("applicationName", take("application_name")),
    ...given("mode", modeOf(take("target_session_attrs"))),
    ...given("connectTimeoutMs", secondsOf(take("connect_timeout"))),
    ...given("tls", tlsOf(take)),
  };
  const unknown = [...params.keys()];
  if (unknown.length === 0) return options;
  throw wrong(`unknown parameter ${unknown.map((name) => JSON.stringify(name)).join(", ")}`);
}

const given = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [key in K]?: V };

/** As libpq: one port for all hosts, or as many ports as hosts; host= and port= replace what stood before the path. */
function hostsOf(text: string, hostParam: string | undefined, portParam: string | undefined) {
  const places = text.split(",").map(placeOf);
  const hosts = hostParam?.split(",") ?? places.map(({ host }) => host);
  const ports = portParam?.split(",") ?? places.map(({ port }) => port);
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw wrong(`${ports.length} ports for ${hosts.length} hosts`);
  }
  return hosts.map((host, index) => {
    const port = ports.length === 1 ? ports[0] : ports[index];
    return withPort(host === "" ? "localhost" : host, port ?? "");
  });
}

/** `db1`, `db1:5433`, `db1:`, `[::1]:5433`, `%2Frun%2Fpg`. Names no text: part of a password may have come here. */
function placeOf(text: string) {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(text);
  if (match === null) throw wrong("a host is not written as host, host:port or [v6]:port");
  return { host: decoded(match[1] ?? match[2] ?? ""), port: match[3] ?? "" };
}

function withPort(host: string, port: string): string {
  const place = host.includes(":") && !host.startsWith("/") ? `[${host}]` : host;
  return port === "" ? place : `${place}:${port}`;
}

function modeOf(text: string | undefined): Mode | undefined {
  if (text === undefined) return undefined;
  const mode = MODES[text];
  if (mode !== undefined) return mode;
  throw wrong(
    `target_session_attrs: ${JSON.stringify(text)} is none of ${Object.keys(MODES).join(", ")}`,
  );
}

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 0) {
    throw wrong(`connect_timeout: ${JSON.stringify(text)} is no whole number of seconds`);
  }
  return seconds === 0 ? undefined : Math.max(2, seconds) * 1000; // libpq: never below 2 s
}

function tlsOf(take: (name: string) => string | undefined): PoolOptions["tls"] {
  const text = take("sslmode");
  const files = {
    ...given("ca", take("sslrootcert")),
    ...given("cert", take("sslcert")),
    ...given("key", take("sslkey")),
  };
  if (text === undefined)
    return Object.keys(files).length === 0 ? undefined : { mode: "prefer", ...files };
  const mode = TLS_MODES.find((one) => one === (text === "allow" ? "prefer" : text));
  if (mode !== undefined) return { mode, ...files };
  throw wrong(`sslmode: ${JSON.stringify(text)} is none of allow, ${TLS_MODES.join(", ")}`);
}
