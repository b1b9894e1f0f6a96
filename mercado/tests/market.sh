# shellcheck shell=bash
# What the checks share that start a market: the programs are those in BINARIES, or debug ones that are built here.
# $work is a directory of the check's own, $url the market's address.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# needs COMMAND…: ends the check where one of them is missing
needs() {
    local command
    for command in "$@" curl python3; do
        command -v "$command" >/dev/null || { echo "$(basename "$0"): $command is missing" >&2; exit 69; }
    done
}

if [ -z "${BINARIES:-}" ]; then
    cargo build --locked -q -p mercado
    BINARIES=$PWD/target/debug
fi
work=$(mktemp -d)
mercado=
stop() {
    [ -z "$mercado" ] || { kill "$mercado" 2>/dev/null && wait "$mercado"; } || true
    mercado=
}
trap 'stop; rm -rf "$work"' EXIT

# start MODE: a market of its own, in $work/MODE
start() {
    local port _
    # below those that Linux gives to connections
    port=$(python3 -c 'import random, socket
while socket.socket().connect_ex(("127.0.0.1", port := random.randrange(10000, 30000))) == 0: pass
print(port)')
    url=http://127.0.0.1:$port
    # no check is about a purchase's deadline, and a busy machine may stand still for three seconds
    "$BINARIES/mercado" --port "$port" --store "json:$work/$1" --cuentas="$1" --drain-seconds 0 --rust-log warn \
        --purchase-deadline-ms 20000 --orphan-age-ms 30000 2>"$work/log-$1" &
    mercado=$!
    for _ in $(seq 600); do
        curl -sf -o /dev/null "$url/readyz" && return
        kill -0 "$mercado" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/log-$1" >&2
    exit 1
}

# post PATH BODY FIELD [curl's options]: a field of the answer
post() {
    curl -sSf "$url$1" -H 'content-type: application/json' -d "$2" "${@:4}" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$3"
}

# session NAME PASSWORD: the header of a session
session() { echo "Authorization: Bearer $(post /sesiones "{\"nombre\":\"$1\",\"contrasena\":\"$2\"}" token)"; }
