#!/bin/sh
# Writes COUNT lines with plain psql, through failovers: each one once.
#
#   DATABASE_URL='postgresql://app@db1,db2,db3/shop?target_session_attrs=read-write' COUNT=100 sh examples/psql.sh
#
# libpq asks each host once, and while a failover runs none takes writes: so it is asked again.  A line whose answer was
# lost may be there: it is written again under the same id.  An update, not "do nothing": what writes nothing waits for
# no standby, and would call safe what is not yet.
set -eu
uri=${DATABASE_URL:-postgresql://postgres@localhost/postgres?target_session_attrs=read-write}
count=${COUNT:-10}
# A host that does not answer is given up after two seconds, the least that libpq takes.
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-2}"

until_done() {
  tries=1
  until psql -X -q -v ON_ERROR_STOP=1 -d "$uri" -c "$1"; do
    if [ "$tries" -ge 200 ]; then
      echo "not done after $tries tries: $1" >&2
      exit 1
    fi
    tries=$((tries + 1))
    sleep 0.1
  done
}

until_done "create table if not exists psql_lines (id integer primary key, text text not null)"
id=1
while [ "$id" -le "$count" ]; do
  until_done "insert into psql_lines values ($id, 'line $id') on conflict (id) do update set text = excluded.text"
  echo "line $id"
  id=$((id + 1))
done
