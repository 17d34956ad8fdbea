-- events() as a view.
create or replace view pg_replica.events as select * from pg_replica.events(max_rows => 2147483647);
comment on view pg_replica.events is 'pg_replica.events() as a view: all that are kept.';
comment on column pg_replica.events.event_id is 'From 1, without gaps, the same on every node.';
comment on column pg_replica.events.at is 'By the clock of the leader that proposed it.';
comment on column pg_replica.events.term is 'Raft term.';
comment on column pg_replica.events.epoch is 'The newest epoch then; 0 before the first.';
comment on column pg_replica.events.node_id is 'The member it is about.';
comment on column pg_replica.events.event is 'Its name, such as primary_serving.';
comment on column pg_replica.events.from_state is 'State before, where there is one.';
comment on column pg_replica.events.to_state is 'State after.';
comment on column pg_replica.events.reason is 'Why, in one sentence.';
comment on column pg_replica.events.detail is 'Facts for programs.';
