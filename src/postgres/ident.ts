/** Which processes of this host are let in over the private sockets, the same for both servers of a node. */
import { userInfo } from "node:os";
import { type HbaRule, renderIdent } from "./hba.ts";

const MAP = "pgreplica";
/** Hands in what SQL callers propose, in sessions of the control store (sql/40_pg_replica/08_through_session.sql). */
const SERVICE = "pgreplica_service";

/** ident.conf: root and the servers' owner are the superuser; the owner's processes, the servers, may serve callers. */
export function identFile(runAs: string): string {
  const owner = process.getuid?.() === 0 ? runAs : userInfo().username;
  const users = [...new Set(["root", owner])];
  return renderIdent([
    ...users.map((systemUser) => ({ map: MAP, systemUser, databaseUser: "postgres" })),
    { map: MAP, systemUser: owner, databaseUser: SERVICE },
  ]);
}

/** The rule for the private sockets. */
export function socketRule(server: "control" | "data"): HbaRule {
  return {
    type: "local",
    database: "all",
    user: server === "control" ? ["postgres", SERVICE] : "postgres",
    method: "peer",
    options: { map: MAP },
  };
}
