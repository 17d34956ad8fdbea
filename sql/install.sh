#!/bin/sh
# Print the SQL that installs pg_replica into one server, for psql:
#   sh sql/install.sh control | psql -X -v ON_ERROR_STOP=1 --single-transaction -d postgres
# It writes the same books as the program, which therefore recognises what it finds.
set -eu
export LC_ALL=C
target=${1:-}
cd "$(dirname "$0")/.."
case $target in
  control) parts='00_schema.sql 05_pgreplica 10_raft 20_peer 30_cluster 35_node 40_pg_replica 70_calls 90_grants.sql 95_pgraft' ;;
  data) parts='00_schema.sql 05_pgreplica 60_data_server 65_monitoring 70_calls 95_pgraft' ;;
  *) echo "usage: sh sql/install.sh control|data" >&2; exit 2 ;;
esac

hash_of() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

generate() {
  echo "select pg_advisory_xact_lock(7307460, 1);"
  echo "set local check_function_bodies = off;"
  echo "set local client_min_messages = warning;"
  for file in migrations/"$target"/*.sql; do
    cat "$file"
    echo "insert into pgreplica.migration (target, name, hash)" \
      "values ('$target', '$(basename "$file" .sql)', '$(sed -n 's/^--! Hash: //p' "$file")');"
  done
  for part in $parts; do
    case $part in *.sql) files=sql/$part ;; *) files=$(echo sql/"$part"/*.sql) ;; esac
    for file in $files; do
      [ -f "$file" ] || { echo "$file is missing" >&2; exit 3; }
      cat "$file"
      echo "insert into pgreplica.sql_file (target, path, hash)" \
        "values ('$target', '${file#sql/}', 'sha256:$(hash_of "$file")');"
    done
  done
  echo "select pgreplica.check_bodies();"
  echo "insert into pgreplica.catalog (target, fingerprint) values ('$target', pgreplica.fingerprint());"
}

# All or nothing: psql would commit half a script.
out=$(generate)
printf '%s\n' "$out"
