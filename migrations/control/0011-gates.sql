--! Previous: sha256:b5fd14d671b8065b255d46a51637b38704332036b57d0227ed1fac45fbe64409
--! Hash: sha256:92842c87b18a448b2354627781ad6495d4f832ee41cc04cc0bc077d090175fe6
--! Message: SQL callers hand their proposals in through a session they keep, and wait at a gate instead of looking

-- Who hands proposals in for callers: a session of their own server that they keep, over the private socket.  Its role
-- can do that alone, and only with a seal, since other libraries of the caller's session may find the session.
create role pgreplica_service login;
create table node.seal (
  singleton boolean primary key default true check (singleton),
  key       text    not null
);
insert into node.seal (key) values (gen_random_uuid()::text || gen_random_uuid()::text);

-- The newest gate: the key of an advisory lock that the leader's worker holds until what was handed in before is applied
-- here.  Far from the keys others use.  Vanishes in a crash, as the locks do.
create unlogged sequence raft.gate start 7307460000000000;
