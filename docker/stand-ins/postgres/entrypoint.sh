#!/bin/bash
# STAND-IN for the entry point of postgres:18.4, as far as docker-compose.yml uses it: makes the data directory and
# runs /docker-entrypoint-initdb.d on a server that only this container reaches; then starts what it is told.
set -euo pipefail

if [ "${1:-}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA"
    # shellcheck disable=SC2086 # the arguments are words
    initdb --username="${POSTGRES_USER:-postgres}" --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS:-}
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    for script in /docker-entrypoint-initdb.d/*; do
        [ -e "$script" ] && bash "$script"
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@"
