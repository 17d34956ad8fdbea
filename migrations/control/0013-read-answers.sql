--! Previous: sha256:f43c967149398b7917fb9776433415ac1d4023b54a62a9e3a37ef2d54fdbb8ac
--! Hash: sha256:6455636b419592bd8fcc528d8c7db9d8ece89f0a71c9b40e711771427837db41
--! Message: what is told to those who want to read knows no transactions, as their tickets do

-- Questions up to this ticket are answered, and everything committed before they were asked stands at this place or
-- before.  Both may vanish in a crash: so have those who asked.
create unlogged sequence raft.read_answered minvalue 0 start 0;
create unlogged sequence raft.read_place minvalue 0 start 0;
-- The newest question when the worker looked last.
create unlogged sequence raft.read_seen minvalue 0 start 0;
drop table raft.read_confirmed;
