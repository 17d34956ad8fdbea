-- What we need of contrib's dblink, under names of our own: its library does the work, and the extension itself
-- stays free for anyone to create in a schema of their choice.  Only our own functions may call these.
create or replace function pgreplica.dblink_connect(p_name text, p_conninfo text) returns text
language c volatile strict as '$libdir/dblink', 'dblink_connect';

create or replace function pgreplica.dblink_disconnect(p_name text) returns text
language c volatile strict as '$libdir/dblink', 'dblink_disconnect';

create or replace function pgreplica.dblink_send_query(p_name text, p_sql text) returns integer
language c volatile strict as '$libdir/dblink', 'dblink_send_query';

create or replace function pgreplica.dblink_is_busy(p_name text) returns integer
language c volatile strict as '$libdir/dblink', 'dblink_is_busy';

create or replace function pgreplica.dblink_get_result(p_name text) returns setof record
language c volatile strict as '$libdir/dblink', 'dblink_get_result';

create or replace function pgreplica.dblink(p_name text, p_sql text) returns setof record
language c volatile strict as '$libdir/dblink', 'dblink_record';

create or replace function pgreplica.dblink_get_connections() returns text[]
language c volatile as '$libdir/dblink', 'dblink_get_connections';
