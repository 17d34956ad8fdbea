/**
 * Text of `pg_hba.conf` and `pg_ident.conf` from lines as data; who is let in is the caller's
 * decision.
 */

/** One rule; PostgreSQL takes the first that matches connection, database, user and address. */
export interface HbaRule {
  readonly type: "local" | "host" | "hostssl" | "hostnossl";
  readonly database: string | readonly string[];
  /** A role, `all`, or `+role` for the members of one. */
  readonly user: string | readonly string[];
  /** Of every type but `local`: CIDR, host name, `samehost`, `samenet`, `all`. */
  readonly address?: string;
  readonly method: "trust" | "reject" | "scram-sha-256" | "peer" | "cert";
  /** Such as `map`. */
  readonly options?: Readonly<Record<string, string>>;
}

/** How members come: in TLS only, by a certificate of their own and their password, or by the password alone. */
export type MemberType = "host" | "hostssl";

export function memberType({
  tls,
}: {
  readonly tls?: { readonly mode: "offer" | "use" | "only" };
}): MemberType {
  return tls?.mode === "only" ? "hostssl" : "host";
}

/**
 * Login rules of the members' roles for `databases`. In TLS the certificate's CN must be the role's name, and the
 * password is asked for all the same: another cluster may have nodes of the same numbers under the same authority. No
 * line after these lets a member's role in otherwise.
 */
export function memberRules(type: MemberType, databases: readonly string[]): HbaRule[] {
  const members = { user: "+pgreplica_peer", address: "all" } as const;
  const admit = databases.map(
    (database): HbaRule => ({
      type,
      database,
      ...members,
      method: "scram-sha-256",
      ...(type === "hostssl" ? { options: { clientcert: "verify-full" } } : {}),
    }),
  );
  if (type === "host") return admit;
  return [
    ...admit,
    { type: "host", database: ["all", "replication"], ...members, method: "reject" },
  ];
}

/** A rule, or a line as an operator wrote it. */
export type HbaLine = HbaRule | string;

export interface IdentRule {
  readonly map: string;
  readonly systemUser: string;
  readonly databaseUser: string;
}

export class BadHbaLine extends Error {
  override readonly name = "BadHbaLine";
}

const HEADER = "# Written by pg_replica: changes are overwritten.\n";

/** The whole file, in the order given. Throws `BadHbaLine` on what would not be one line. */
export function renderHba(lines: readonly HbaLine[]): string {
  const rendered = lines.map((line) => oneLine(typeof line === "string" ? line : renderRule(line)));
  return HEADER + rendered.map((line) => `${line}\n`).join("");
}

export function renderIdent(rules: readonly IdentRule[]): string {
  const rendered = rules.map(({ map, systemUser, databaseUser }) =>
    oneLine([map, systemUser, databaseUser].map(token).join(" ")),
  );
  return HEADER + rendered.map((line) => `${line}\n`).join("");
}

function renderRule({ type, database, user, address, method, options = {} }: HbaRule): string {
  if ((type === "local") !== (address === undefined)) {
    throw new BadHbaLine(`a rule of type ${type} ${address ? "has no" : "needs an"} address`);
  }
  const where = address === undefined ? [] : [token(address)];
  const extras = Object.entries(options).map(([name, value]) => `${name}=${token(value)}`);
  return [type, tokens(database), tokens(user), ...where, method, ...extras].join(" ");
}

function tokens(value: string | readonly string[]): string {
  return typeof value === "string" ? token(value) : value.map(token).join(",");
}

/** Quotes take the meaning from words such as `all`, so only what needs them gets them. */
function token(text: string): string {
  if (/^[A-Za-z0-9_+./:$-]+$/.test(text)) return text;
  return `"${text.replaceAll('"', '""')}"`;
}

/** A backslash at the end would swallow the next rule (PostgreSQL 14 and later). */
function oneLine(line: string): string {
  if (/[\n\r\0]/.test(line) || line.endsWith("\\")) {
    throw new BadHbaLine(`not one line: ${JSON.stringify(line)}`);
  }
  return line;
}
