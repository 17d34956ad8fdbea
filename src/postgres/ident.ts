/** Which processes of this host are let in over the private sockets, the same for both servers of a node. */
import { userInfo } from "node:os";
import { type HbaRule, renderIdent } from "./hba.ts";

const MAP = "pgreplica";
/**
 * Serve SQL callers in sessions of the control store: hand in what they propose, in one that the caller's session keeps
 * (sql/40_pg_replica/08_through_session.sql), and do what they ask for (sql/40_pg_replica/19_call.sql).
 */
const SERVICE = ["pgreplica_service", "pgreplica_caller"];

/** ident.conf: root and the servers' owner are the superuser; the owner's processes, the servers, may serve callers. */
export function identFile(runAs: string): string {
  const owner = process.getuid?.() === 0 ? runAs : userInfo().username;
  const users = [...new Set(["root", owner])];
  return renderIdent([
    ...users.map((systemUser) => ({ map: MAP, systemUser, databaseUser: "postgres" })),
    ...SERVICE.map((databaseUser) => ({ map: MAP, systemUser: owner, databaseUser })),
  ]);
}

/** The rule for the private sockets. */
export function socketRule(server: "control" | "data"): HbaRule {
  return {
    type: "local",
    database: "all",
    user: server === "control" ? ["postgres", ...SERVICE] : "postgres",
    method: "peer",
    options: { map: MAP },
  };
}
