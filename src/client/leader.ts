/** Follows the primary by the word of control stores: a notification is a hint, what is read then decides (H65). */
import type { Clock } from "../clock/clock.ts";
import { Link, limited } from "./link.ts";
import { type HostPort, type Settings, settingsOf } from "./options.ts";
import type { Topology } from "./topology.ts";

const PRIMARY = `
  select c.epoch::text as newest, p.host, p.port, p.epoch::text as epoch
    from pg_replica.cluster() as c left join pg_replica.primary() as p on true`;
const MEMBERS =
  "select host, port from pg_replica.members() where host is not null and state <> 'initial'";

interface PrimaryRow {
  readonly newest: string;
  readonly host: string | null;
  readonly port: number | null;
  readonly epoch: string | null;
}

/** Read again without a hint, milliseconds: a store that froze says nothing. */
const READ_AGAIN_MS = 2000;
const READ_LIMIT_MS = 2000;
/** Between two stores that could not be asked. */
const REST_MS = 200;

export class LeaderWatch {
  readonly #stores: readonly Settings[];
  readonly #topology: Topology;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(settings: Settings, topology: Topology, clock: Clock) {
    this.#stores = settings.control.map((uri) => settingsOf(uri));
    this.#topology = topology;
    this.#clock = clock;
  }

  /** A second call does nothing. */
  start(): void {
    if (this.#stores.length > 0) this.#loop ??= this.#follow();
  }

  async #follow(): Promise<void> {
    for (let turn = 0; !this.#ended.signal.aborted; turn += 1) {
      const store = this.#stores[turn % this.#stores.length];
      const [at] = store?.hosts ?? [];
      if (store === undefined || at === undefined) return;
      const link = new Link(at, store);
      try {
        await link.connect();
        await this.#listen(link);
      } catch {
        link.destroy(); // not there, or gone: the next one is asked, and then it is read anew
      }
      await this.#clock.sleep(REST_MS, this.#ended.signal);
    }
  }

  async #listen(link: Link): Promise<void> {
    let hint = new AbortController();
    const wake = () => hint.abort(null);
    link.on("notification", wake);
    link.on("end", wake);
    this.#ended.signal.addEventListener("abort", wake, { once: true });
    try {
      await link.query("listen pg_replica_leader");
      while (!this.#ended.signal.aborted) {
        hint = new AbortController();
        await this.#read(link);
        await this.#clock.sleep(READ_AGAIN_MS, hint.signal);
      }
    } finally {
      this.#ended.signal.removeEventListener("abort", wake);
      link.destroy();
    }
  }

  async #read(link: Link): Promise<void> {
    const limit = { what: "reading the primary from a control store", ms: READ_LIMIT_MS };
    const [members, primary] = await limited(
      this.#clock,
      limit,
      async () =>
        [
          (await link.query<HostPort>(MEMBERS)).rows,
          (await link.query<PrimaryRow>(PRIMARY)).rows[0],
        ] as const,
    );
    if (members.length > 0) this.#topology.setMembers(members);
    if (primary === undefined) return;
    const { host, port, epoch, newest } = primary;
    if (host === null || port === null || epoch === null) {
      this.#topology.setPrimary(undefined, BigInt(newest));
    } else {
      this.#topology.setPrimary({ host, port }, BigInt(epoch));
    }
  }

  async end(): Promise<void> {
    this.#ended.abort(null);
    await this.#loop;
  }
}
