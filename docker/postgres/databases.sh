#!/bin/bash
# Makes the databases, each with an owner of the same name, the auditor, who may read and nothing else, and the monitor,
# who may read figures and no rows. Runs once, when PostgreSQL makes its data directory.
set -euo pipefail

for name in command_handler graphql_endpoint registry; do
    password=$(cat "/secrets/postgres/$name.password")
    psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
CREATE ROLE $name LOGIN PASSWORD '$password';
CREATE DATABASE $name OWNER $name;
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done

password=$(cat /secrets/postgres/auditor.password)
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
CREATE ROLE auditor LOGIN PASSWORD '$password' CONNECTION LIMIT 10;
ALTER ROLE auditor SET default_transaction_read_only = on;
GRANT CONNECT ON DATABASE command_handler, graphql_endpoint TO auditor;
GRANT pg_read_all_data TO auditor;
SQL

password=$(cat /secrets/postgres/monitor.password)
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
CREATE ROLE monitor LOGIN PASSWORD '$password' CONNECTION LIMIT 5;
GRANT pg_monitor TO monitor;
SQL
