--! Previous: sha256:3fce630355ffe1624fc3f40f60a494760c644ed8be403428626629ce6a266e1b
--! Hash: sha256:6119254cb2e4064399d252371dbb6bcbf1d6b3c659fa4dbd4834eb826e47c7c1
--! Message: a state of any size is taken, and taken in, within the limits of those who do it

-- Compressing it takes longer than all the rest, and the leader's other rows wait for their vacuum meanwhile.
alter table raft.snapshot_part alter column rows set storage external;
drop function if exists raft.arrived(uuid, text);
