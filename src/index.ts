/** What a program may import of this package. */
export { ConfigError, clusterIdOf, loadConfig, type Problem } from "./config/load.ts";
export type { Config, PeerConfig } from "./config/schema.ts";
