-- What SQL cannot see or remember, as this node's worker saw it last: room on the disk, and how fast things grow.  It
-- writes a file beside the socket, since a standby has no table to write to.  Null when it has not written for a while.
create or replace function pgreplica.gauges() returns jsonb
language sql volatile security definer set search_path = '', pg_temp as $$
  select case when f.modification > clock_timestamp() - interval '30 seconds'
              then pg_read_file(p.path, 0, 65536, true)::jsonb end
    from (select trim(both ' "' from split_part(current_setting('unix_socket_directories'), ',', 1))
                 || '/gauges.json' as path) as p
   cross join lateral pg_stat_file(p.path, true) as f;
$$;
comment on function pgreplica.gauges() is
  'What the worker of this node measured within the last half minute: free_bytes, full_in_s, growth of each standby''s lag.';
