/** Every time limit of the coordinator, in milliseconds of a monotonic clock (H32). */
export const LIMITS = {
  /**
   * A member's worker is alive while its beat rose within this. A quiet worker publishes each 800 ms
   * and gossip takes 500 more; a node that dies is noticed by its connections, not by this.
   */
  workerAliveMs: 2000,
  /** A data port is silent when a query went unanswered for this long. */
  probeSilentMs: 500,
  /** PROMOTING: an appointed node that has not promoted by then is given up (H46). */
  promotingMs: 5000,
  /** A gate that k standbys could have opened, and that stays shut for so long, is somebody else's to open. */
  gateMs: 30_000,
  /** The founder starts and promotes for the first time: nobody else can, so there is no hurry. */
  foundingMs: 30_000,
  /** Drain and clean stop of a planned hand-over, once writes have stopped; later the primary is kept. */
  drainMs: 10_000,
  /** All of it: the checkpoint that goes before, while clients are still served, may take long. */
  handOverMs: 60_000,
  /** How long the wanted target may be later than the reports that suffice without it. */
  targetMs: 1000,
  /** How long a failover's target that lacked WAL may take to fetch it from the primary that held it. */
  fetchMs: 20_000,
  /** Reports that are still missing after this are named in an event. */
  stalledMs: 2000,
  /**
   * Between two failovers that were inferred from silence (H47). Deaths that were observed are
   * never held back: there waiting protects nothing.
   */
  holdDownMs: 5000,
  /** A request that is due within this is refused already, if it would be. */
  refuseEarlyMs: 500,
  /** A member that has not streamed for this long is not waited for: a change it should confirm is turned back. */
  awayMs: 2000,
  /** After this it leaves the commit rule, so that its absence blocks no failover. */
  goneMs: 60_000,
  /** A member enters the commit rule once it has less than this to catch up: commits would wait for it. */
  joinLagBytes: 16n * 1024n * 1024n,
  /** Hold-down of one node after a failover that its silence caused; doubled for each that follows. */
  nodeHoldMs: 30_000,
  longestHoldMs: 600_000,
  /** Once writes have stopped for this long it is no flap: no hold-down goes on. */
  lastingMs: 10_000,
  /** The primary's control store may be away for this long: its worker restarts it within two seconds, or cannot. */
  storeLostMs: 20_000,
  /** An epoch serves this long before leadership moves to the primary's node. */
  settledMs: 1000,
  /**
   * A leader leads for this long before it hands leadership on: a primary whose worker has just come back renews its
   * lease with the leader there is, and a change of leader would cost it the rest.
   */
  leadingMs: 4000,
  /**
   * The store of the primary's node has answered for this long without a break before leadership moves there. Where it
   * is slow, or the network loses much, the lease is better renewed by the leader there is.
   */
  steadyMs: 4000,
  /** Between two tries to move leadership. */
  transferEveryMs: 5000,
} as const;
