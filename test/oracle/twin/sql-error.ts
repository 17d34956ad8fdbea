/** What a SQL function raises: the transaction is rolled back, and the caller sees the SQLSTATE. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** plpgsql's assert. */
export function sqlAssert(holds: boolean, message: string): asserts holds {
  if (!holds) throw new SqlError("P0004", message);
}
