/** What a change stream counts. */
import type { Lsn } from "./lsn.ts";

export interface ReplicationMetrics {
  readonly eventsForwarded: number;
  readonly rowsDecoded: number;
  readonly bytesReceived: number;
  readonly feedbackSent: number;
  readonly keepaliveReplies: number;
  /** How often, and for how long in all, the consumer held reading back. */
  readonly stallCount: number;
  readonly stallMicrosTotal: number;
  readonly reconnects: number;
  readonly lastAppliedLsn: Lsn;
  readonly lastWalEnd: Lsn;
}

/** Those that the client itself counts. */
export function noCounts() {
  return {
    eventsForwarded: 0,
    bytesReceived: 0,
    feedbackSent: 0,
    keepaliveReplies: 0,
    reconnects: 0,
  };
}
