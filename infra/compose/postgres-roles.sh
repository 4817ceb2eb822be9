#!/bin/sh
# Run once by the image of PostgreSQL, on an empty data directory: the platform and Temporal get a role of their own, so that
# neither reads the other's database.
set -eu

secret() { cat "/run/secrets/$1"; }

psql -v ON_ERROR_STOP=1 -U postgres \
  -v orchestrator="$(secret orchestrator_db_password)" -v temporal="$(secret temporal_db_password)" <<'SQL'
CREATE ROLE orchestrator LOGIN PASSWORD :'orchestrator';
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE orchestrator OWNER orchestrator ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE temporal OWNER temporal ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE temporal_visibility OWNER temporal ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE orchestrator, temporal, temporal_visibility FROM PUBLIC;
SQL
