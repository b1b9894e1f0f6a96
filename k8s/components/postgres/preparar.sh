#!/usr/bin/env bash
# Before each start of the server: makes the cluster where there is none, and the roles and databases of the services. Killed
# anywhere, it does the rest at the next start. A changed password in the Secret counts from the next start, too.
set -euo pipefail

if [ ! -d "$PGDATA" ]; then
    # a rename is all or nothing, unlike the image's own entry point, which takes half a cluster for a whole one
    rm -rf "$PGDATA.new"
    initdb --pgdata "$PGDATA.new" --username postgres --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C --data-checksums >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA.new/pg_hba.conf"
    sync
    mv "$PGDATA.new" "$PGDATA"
fi

sockets=$(mktemp -d)
pg_ctl --pgdata "$PGDATA" --wait --timeout 600 \
    --options "-c listen_addresses= -c unix_socket_directories=$sockets" start
trap 'pg_ctl --pgdata "$PGDATA" --wait --mode fast stop; rm -rf "$sockets"' EXIT

prepare() {
    psql --host "$sockets" --username postgres --dbname postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --set servicio="$1" --set password="$2" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'servicio')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'servicio') \gexec
ALTER ROLE :"servicio" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'servicio', :'servicio')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'servicio') \gexec
REVOKE ALL ON DATABASE :"servicio" FROM PUBLIC;
SQL
}
prepare usuarios "$USUARIOS_PASSWORD"
prepare tokens "$TOKENS_PASSWORD"
prepare transacciones "$TRANSACCIONES_PASSWORD"
