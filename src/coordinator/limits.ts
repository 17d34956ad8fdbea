/** Every time limit of the coordinator, in milliseconds of a monotonic clock (H32). */
export const LIMITS = {
  /** A member's worker is alive while its beat rose within this. */
  workerAliveMs: 1000,
  /** A data port is silent when a query went unanswered for this long. */
  probeSilentMs: 500,
  /** PROMOTING: an appointed node that has not promoted by then is given up (H46). */
  promotingMs: 5000,
  /** The founder starts and promotes for the first time: nobody else can, so there is no hurry. */
  foundingMs: 30_000,
  /** Drain, checkpoint and clean stop of a planned hand-over; later the primary is kept. */
  handOverMs: 10_000,
  /** How long the wanted target may be later than the reports that suffice without it. */
  targetMs: 1000,
  /** Reports that are still missing after this are named in an event. */
  stalledMs: 2000,
  /**
   * Between two failovers that were inferred from silence (H47). Deaths that were observed are
   * never held back: there waiting protects nothing.
   */
  holdDownMs: 5000,
  /** An epoch serves this long before leadership moves to the primary's node. */
  settledMs: 1000,
  /** Between two tries to move leadership. */
  transferEveryMs: 5000,
} as const;
