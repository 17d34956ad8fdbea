--! Previous: sha256:3fce630355ffe1624fc3f40f60a494760c644ed8be403428626629ce6a266e1b
--! Hash: sha256:f2688843b3d728159c9992709d80611d826c68236c6abe50a653a8575db393f9
--! Message: what is done for callers in sessions of our own takes none of the worker's connections

-- Who serves callers in a session of its own (pgreplica.own_conninfo), over the private socket: for those of this server
-- and of the node's data server.  It speaks for whom it names, so nobody else logs in as it.
create role pgreplica_caller login;
