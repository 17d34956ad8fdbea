-- What the cluster can be set to, and what holds where nobody has set it.
create or replace view cluster.setting_known as
select k.* from (values
  ('kept_entries',       1000000::bigint, 1000::bigint, 1000000000::bigint, 'items'::text,
   'The newest items put in by replicate() that are kept, whole batches'::text),
  ('kept_entry_bytes',   1073741824, 16777216, 1099511627776, 'bytes',
   'Of those as many as have so many bytes, a tenth more at most'),
  ('kept_proposals',     1000000, 10000, 1000000000, 'log entries',
   'For so many places in the log a request_id commits once'),
  ('kept_events',        100000, 1000, 100000000, 'events',
   'The newest events that are kept'),
  ('kept_requests',      10000, 100, 1000000, 'requests',
   'The newest requests that are kept, and all that are not finished')
) as k (name, default_value, lowest, highest, unit, description);
