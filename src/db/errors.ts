/** SQLSTATEs our SQL raises, as kinds. Class RF is ours: classes 0–4 and A–H belong to the standard. */
import pg from "pg";

/** The same table as in `docs/sql.md`. */
export const OURS = {
  RF001: "not_leader",
  RF002: "no_leader",
  RF003: "unknown_outcome",
  RF004: "stale_term",
  RF005: "forgotten",
  RF006: "unknown_member",
  RF007: "too_slow",
  RF008: "refused_stranger",
  RF009: "bypasses_consensus",
  RF010: "not_possible",
  RF011: "would_lose_data",
  RF013: "unsafe_settings",
  RF014: "earlier_life",
  RF015: "unknown_command",
} as const;

export type OurErrorKind = (typeof OURS)[keyof typeof OURS];

export class ReplicaError extends Error {
  override readonly name = "ReplicaError";
  readonly kind: OurErrorKind;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  constructor(kind: OurErrorKind, cause: pg.DatabaseError) {
    super(cause.message, { cause });
    this.kind = kind;
    this.detail = cause.detail;
    this.hint = cause.hint;
  }
}

/** Name the errors we raise ourselves; let every other one through untouched. */
export function fromPgError(error: unknown): never {
  if (error instanceof pg.DatabaseError && error.code !== undefined && error.code in OURS) {
    throw new ReplicaError(OURS[error.code as keyof typeof OURS], error);
  }
  throw error;
}

/** data_corrupted and index_corrupted. */
const DAMAGE: ReadonlySet<string | undefined> = new Set(["XX001", "XX002"]);

/** What a server says of a page that is not what was written; undefined of any other error. */
export function damagedPage(error: unknown): string | undefined {
  if (!(error instanceof pg.DatabaseError) || !DAMAGE.has(error.code)) return undefined;
  return error.message;
}

/** What a server says of a value that it does not take (22023), and how to mend it; undefined of any other error. */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof pg.DatabaseError) || error.code !== "22023") return undefined;
  return [error.message, error.hint].filter((text) => text !== undefined).join(". ");
}
