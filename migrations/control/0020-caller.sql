--! Previous: sha256:c3fc92c2bdb92dd5bfa3e9ac086768ac6b19529b7d6bb6dc4e94cbe8ec96dcf5
--! Hash: sha256:db19c661b69debb5cd27489237874981def629456dfc94bf8db2b58508423fdc
--! Message: what is done for callers in sessions of our own takes none of the worker's connections

-- Who serves callers in a session of its own (pgreplica.own_conninfo), over the private socket: for those of this server
-- and of the node's data server.  It speaks for whom it names, so nobody else logs in as it.
create role pgreplica_caller login;
