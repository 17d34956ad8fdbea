--! Previous: sha256:3fce630355ffe1624fc3f40f60a494760c644ed8be403428626629ce6a266e1b
--! Hash: sha256:8e999532b02f882f46a6b6f667aa9f18affa77fdf34fd570c3772764889025fc
--! Message: what was handed in to a leader is dropped when its term is over

-- In which this node led when the proposal was handed in (raft.put_inbox).  What lies there now is of no term.
delete from raft.inbox;
alter table raft.inbox add column term bigint not null;
