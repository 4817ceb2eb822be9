#!/bin/sh
# Temporal's own schema, for a new database and for one of an older version. Repeatable.
set -eu

SQL_PASSWORD=$(cat /run/secrets/temporal_db_password)
export SQL_PASSWORD

for database in temporal:temporal temporal_visibility:visibility; do
  name=${database%%:*}
  tool() { temporal-sql-tool --plugin postgres12 --ep postgres -p 5432 -u temporal --db "$name" "$@"; }
  tool setup-schema -v 0.0
  tool update-schema -d "/etc/temporal/schema/postgresql/v12/${database##*:}/versioned"
done
