#!/bin/sh
# Runs once, when the PostgreSQL volume is empty: a role and its databases for us, another for Temporal, and neither may
# enter what is the other's. SECRETS is where the passwords lie; the container's own place unless a test says otherwise.
set -eu
SECRETS=${SECRETS:-/run/secrets}
export SECRETS
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set qbd_password `cat "$SECRETS/qbd_db_password"`
\set temporal_password `cat "$SECRETS/temporal_db_password"`
create role qbd login password :'qbd_password';
create role temporal login password :'temporal_password';
create database qbd owner qbd;
create database temporal owner temporal;
create database temporal_visibility owner temporal;
revoke connect on database qbd, temporal, temporal_visibility, postgres from public;
SQL
