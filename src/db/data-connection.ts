/** Connections to the own data server over its private socket: kept ones that come back, and fresh ones that prove. */
import type { ClientBase } from "pg";
import { run } from "./call.ts";
import { connect } from "./connect.ts";

export interface DataConnection {
  readonly db: ClientBase;
  /** The backend's pid, so that it is never taken for a client's. */
  readonly pid: number;
  open(): boolean;
  /** Never throws, never waits: a frozen server answers no farewell. */
  end(): void;
}

export interface SocketAddress {
  readonly socketDir: string;
  readonly port: number;
}

const CONNECT_LIMIT_MS = 3000;

/** Log in as the superuser, by peer authentication. Throws what pg throws. */
export async function openDataConnection(
  { socketDir, port }: SocketAddress,
  {
    applicationName,
    statementLimitMs,
    database,
  }: { applicationName: string; statementLimitMs?: number; database?: string },
): Promise<DataConnection> {
  let open = true;
  const client = await connect({
    host: socketDir,
    port,
    user: "postgres",
    applicationName,
    connectLimitMs: CONNECT_LIMIT_MS,
    ...(statementLimitMs === undefined ? {} : { statementLimitMs }),
    ...(database === undefined ? {} : { database }),
    onLost: () => {
      open = false;
    },
  });
  client.on("end", () => {
    open = false;
  });
  return {
    db: client,
    pid: backendOf(client),
    open: () => open,
    end: () => {
      open = false;
      // Farewells to a dead or frozen server fail or hang: nobody waits for them.
      void client.end().catch(() => undefined);
      (
        client as unknown as { connection?: { stream?: { destroy(): void } } }
      ).connection?.stream?.destroy();
    },
  };
}

/** The same, with what an operator may have set for role or database made harmless: acts must be able to write. */
export async function openForActs(
  ...where: Parameters<typeof openDataConnection>
): Promise<DataConnection> {
  const connection = await openDataConnection(...where);
  await run(connection.db, {
    text: `
      select set_config('default_transaction_read_only', 'off', false),
             set_config('lock_timeout', '0', false),
             set_config('idle_session_timeout', '0', false)`,
  });
  return connection;
}

/** The server told it at login; the type says nothing of it. */
function backendOf(client: ClientBase): number {
  const { processID } = client as { readonly processID?: number | null };
  if (typeof processID !== "number") throw new Error("the server named no backend pid");
  return processID;
}

/** A connection that is opened when first asked for, and again once it was lost. */
export interface KeptConnection {
  get(): Promise<DataConnection>;
  /** The backend's pid while it is open. */
  pid(): number | undefined;
  drop(): void;
}

export function keepConnection(open: () => Promise<DataConnection>): KeptConnection {
  let kept: Promise<DataConnection> | undefined;
  let opened: DataConnection | undefined;
  const drop = () => {
    const last = kept;
    kept = undefined;
    opened = undefined;
    // One still being opened is closed once it is; its failure was told to whoever asked for it.
    void last?.then(
      (connection) => connection.end(),
      () => undefined,
    );
  };
  return {
    async get() {
      if (opened !== undefined && !opened.open()) drop();
      kept ??= open();
      const mine = kept;
      try {
        const connection = await mine;
        if (kept === mine) opened = connection;
        return connection;
      } catch (error) {
        if (kept === mine) kept = undefined;
        throw error;
      }
    },
    pid: () => (opened?.open() ? opened.pid : undefined),
    drop,
  };
}
