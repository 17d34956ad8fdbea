#!/bin/sh
# Plain pgbench for SECONDS of load, through failovers: it ends when it loses its primary, and is started again.
#
#   DATABASE_URL='postgresql://app@db1,db2,db3/shop?target_session_attrs=read-write' SECONDS_OF_LOAD=60 sh examples/pgbench.sh
set -eu
uri=${DATABASE_URL:-postgresql://postgres@localhost/postgres?target_session_attrs=read-write}
seconds=${SECONDS_OF_LOAD:-10}
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-2}"

now() { date +%s; }
end=$(($(now) + seconds))
limit=$((end + 60))

until pgbench -i -q -s "${SCALE:-1}" "$uri"; do
  [ "$(now)" -lt "$limit" ] || exit 1
  sleep 0.2
done
end=$(($(now) + seconds))
runs=0
while [ "$(now)" -lt "$end" ]; do
  # It says "Run was aborted" and exits with 2 when connections were lost, with 1 when there was nobody to connect to.
  if pgbench -n -c "${CLIENTS:-4}" -j 1 -T "$((end - $(now)))" "$uri"; then
    echo "the load is over"
    exit 0
  fi
  runs=$((runs + 1))
  echo "lost its primary, run $runs; again"
  sleep 0.2
done
echo "the load is over"
