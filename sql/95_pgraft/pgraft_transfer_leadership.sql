-- Moves leadership of the log to a voter, the best caught-up one without a name.
create or replace function public.pgraft_transfer_leadership(node_id integer default null) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('transfer_leadership', jsonb_build_object('node_id', node_id))::boolean;
$$;
comment on function public.pgraft_transfer_leadership(integer) is
  'Moves leadership of the log to a voter, the best caught-up one without a name; true when it leads in a newer term. It comes back to the primary''s node by itself: pg_replica.switchover() moves the primary. Errors: RF001 not the leader, RF006 no such voter, RF007 it did not take over in time.';
