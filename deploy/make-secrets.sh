#!/bin/sh
# Makes the secrets of docker-compose.yml in ./secrets, each only if it is not there. The folder is for its owner alone;
# the files are readable, because a container reads them as a user of its own (Compose mounts them as they are).
set -eu
umask 077
mkdir -p secrets
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # NAME VALUE
    [ -s "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"
    chmod 0444 "secrets/$1"
}
keep postgres_password "$(random)"
keep qbd_db_password "$(random)"
keep temporal_db_password "$(random)"
keep secret_key "$(random)"
# Encrypts what Temporal stores, and webhook secrets. A new key goes in front, the old ones stay (docs/security.md).
keep payload_keys "k1:$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
keep database_url "postgresql://qbd:$(cat secrets/qbd_db_password)@postgresql:5432/qbd"
keep temporal.env "POSTGRES_PWD=$(cat secrets/temporal_db_password)
SQL_PASSWORD=$(cat secrets/temporal_db_password)"
