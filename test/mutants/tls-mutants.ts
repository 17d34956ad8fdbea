/** M58: bugs of who is believed between nodes: authority, host, certificate, cluster. */
import { type Mutant, test } from "./mutant.ts";

const SECURITY = "cluster/security";

export const TLS_MUTANTS: readonly Mutant[] = [
  {
    id: "M58a",
    bug: "a peer's certificate may be of any authority",
    rule: "R13 H55",
    killer: test(SECURITY, "believed by .* another authority"),
    patches: [
      {
        file: "src/db/tls.ts",
        find: "rejectUnauthorized: true",
        replace: "rejectUnauthorized: false",
      },
    ],
  },
  {
    id: "M58b",
    bug: "a peer's certificate may be another host's",
    rule: "R13 H55",
    killer: test(SECURITY, "a name that its certificate does not hold"),
    patches: [
      {
        file: "src/db/tls.ts",
        find: "rejectUnauthorized: true",
        replace: "rejectUnauthorized: true, checkServerIdentity: () => undefined",
      },
    ],
  },
  {
    id: "M58c",
    bug: "libpq checks the authority, and not the host",
    rule: "R13 H55",
    killer: test(SECURITY, "a name that its certificate does not hold"),
    patches: [
      {
        file: "src/config/tls.ts",
        find: 'sslmode: "verify-full"',
        replace: 'sslmode: "verify-ca"',
      },
    ],
  },
  {
    id: "M58d",
    bug: "libpq checks nothing",
    rule: "R13 H55",
    killer: test(SECURITY, "believed by .* another authority"),
    patches: [
      {
        file: "src/config/tls.ts",
        find: 'sslmode: "verify-full",\n    sslrootcert: files.ca,',
        replace: 'sslmode: "require",',
      },
    ],
  },
  {
    id: "M58e",
    bug: "WAL is streamed from whoever has a certificate of the authority",
    rule: "R13 H55",
    killer: test(SECURITY, "a name that its certificate does not hold"),
    patches: [
      {
        file: "src/replication/tls.ts",
        find: '...(tls.mode === "verify-full" ? nameCheck(name) : { checkServerIdentity: () => undefined }),',
        replace: "checkServerIdentity: () => undefined,",
      },
    ],
  },
  {
    id: "M58f",
    bug: "a member needs no certificate of its own",
    rule: "R13 H55",
    killer: test(SECURITY, "a password, but no certificate"),
    patches: [
      {
        file: "src/postgres/hba.ts",
        find: '...(type === "hostssl" ? { options: { clientcert: "verify-full" } } : {}),',
        replace: "",
      },
    ],
  },
  {
    id: "M58g",
    bug: "a member's certificate may be another member's",
    rule: "R13 H55",
    killer: test(SECURITY, "a certificate of another member"),
    patches: [
      {
        file: "src/postgres/hba.ts",
        find: 'clientcert: "verify-full"',
        replace: 'clientcert: "verify-ca"',
      },
    ],
  },
  {
    id: "M58h",
    bug: "members come in plain text too",
    rule: "R13 H55",
    killer: test(SECURITY, "a password, but plain text"),
    patches: [
      {
        file: "src/postgres/hba.ts",
        find: 'return tls?.mode === "only" ? "hostssl" : "host";',
        replace: 'return tls?.mode === undefined ? "hostssl" : "host";',
      },
    ],
  },
  {
    id: "M58i",
    bug: "a node of another cluster is heard, in SQL",
    rule: "R13 H55",
    killer: test(SECURITY, "another cluster"),
    patches: [
      {
        file: "sql/10_raft/03_check_sender.sql",
        find: "if p_cluster is distinct from v_me.cluster_id then",
        replace: "if p_cluster is null then",
      },
    ],
  },
  {
    id: "M58j",
    bug: "a login speaks for any member, in SQL",
    rule: "R13 H55",
    killer: test(SECURITY, "under another member's login"),
    patches: [
      {
        file: "sql/10_raft/03_check_sender.sql",
        find: "if session_user <> 'pgreplica_node_' || p_from\n",
        replace: "if session_user not like 'pgreplica_node_%'\n",
      },
    ],
  },
  {
    id: "M58k",
    bug: "an append of a node of another cluster is heard, in SQL",
    rule: "R13 H55",
    killer: test(SECURITY, "append.*another cluster"),
    patches: [
      {
        file: "sql/20_peer/append_entries.sql",
        find: "where i.cluster_id = p_cluster\n     and m.node_id",
        replace: "where m.node_id",
      },
    ],
  },
  {
    id: "M58l",
    bug: "a login appends for any member, in SQL",
    rule: "R13 H55",
    killer: test(SECURITY, "append.*under another member's login"),
    patches: [
      {
        file: "sql/20_peer/append_entries.sql",
        find: "and (session_user = 'pgreplica_node_' || p_from\n",
        replace: "and (session_user like 'pgreplica_node_%'\n",
      },
    ],
  },
];
