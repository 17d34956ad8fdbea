/**
 * A web service that keeps writing through failovers: POST /notes with an Idempotency-Key, GET /notes from a standby.
 *
 *   DATABASE_URL='postgresql://app@db1,db2,db3/shop' PORT=8080 node examples/web-service.ts
 */
import { createServer, type IncomingMessage } from "node:http";
import { ClientError, createPool, OUTCOME_DDL } from "pg-replica/client";

const pool = createPool(process.env.DATABASE_URL ?? "postgresql://postgres@localhost/postgres");
const setup = `${OUTCOME_DDL} create table if not exists notes (id bigserial primary key, text text not null)`;
for (const statement of setup.split(";")) await pool.query(statement, [], { retry: true });

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function post(request: IncomingMessage): Promise<Answer> {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string") return { status: 400, body: { error: "Idempotency-Key: a uuid" } };
  const { rows, resolved } = await pool.queryResult<{ id: bigint }>(
    "insert into notes (text) values ($1) returning id",
    [await bodyOf(request)],
    { idempotencyKey: key, timeoutMs: 10_000, rowMode: "json" },
  );
  // Done by an earlier request with this key: whoever sent that one has the id.
  return resolved ? { status: 200, body: {} } : { status: 201, body: rows[0] };
}

async function get(): Promise<Answer> {
  const options = { mode: "prefer-standby", timeoutMs: 2000, rowMode: "json" } as const;
  return {
    status: 200,
    body: await pool.query("select id, text from notes order by id", [], options),
  };
}

/** What the caller may do about it: try again (503), or look first (the same key makes that safe here, too). */
function failed(error: unknown): Answer {
  if (!(error instanceof ClientError)) throw error;
  const { code, message } = error;
  const again = ["NO_PRIMARY", "NO_NODE", "TIMEOUT", "QUEUE_FULL", "IN_DOUBT"].includes(code);
  return { status: again ? 503 : 500, body: { code, message } };
}

const server = createServer((request, response) => {
  const answering = request.method === "POST" ? post(request) : get();
  answering.catch(failed).then(({ status, body }) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  const address = server.address();
  console.log(`listening on ${typeof address === "object" ? address?.port : address}`);
});

process.once("SIGTERM", async () => {
  server.close();
  await pool.end();
});
