--! Previous: sha256:8e999532b02f882f46a6b6f667aa9f18affa77fdf34fd570c3772764889025fc
--! Hash: sha256:c3fc92c2bdb92dd5bfa3e9ac086768ac6b19529b7d6bb6dc4e94cbe8ec96dcf5
--! Message: a state of any size is taken, and taken in, within the limits of those who do it

-- Compressing it takes longer than all the rest, and the leader's other rows wait for their vacuum meanwhile.
alter table raft.snapshot_part alter column rows set storage external;
drop function if exists raft.arrived(uuid, text);
