/** What a program may import of this package. */
export { type LogTo, type RunningWorker, startWorker } from "./cli/worker-here.ts";
export { ConfigError, clusterIdOf, loadConfig, type Problem } from "./config/load.ts";
export type { Config, PeerConfig } from "./config/schema.ts";
export { NotLeader, UnknownOutcome } from "./raft/raft.ts";
