# shellcheck shell=bash
# What the benchmarks share. The server gets one core and the load generator another, so that neither steals from the
# other; each pair of runs is interleaved with its peer's, so that a noisy minute hits both.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SERVER_CORE=${SERVER_CORE:-0} LOAD_CORE=${LOAD_CORE:-1}
RUNS=${RUNS:-5} SECONDS_EACH=${SECONDS_EACH:-5}
# on the disk under test, which /tmp need not be
WORK=$(mktemp -d "${BENCH_DIR:-$PWD/target}/bench.XXXXXX")
PIDS=()

stop() {
    local pid
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    PIDS=()
}
trap 'stop; rm -rf "$WORK"' EXIT

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "bench: $tool is missing: apt-get install $tool" >&2; exit 69; }
    done
}

on_load_core() { taskset -c "$LOAD_CORE" "$@"; }

# behind COMMAND…: starts it on the server's core; stop ends it. (Not by a function in the background: $! would be the
# shell around it.)
behind() {
    taskset -c "$SERVER_CORE" "$@" &
    PIDS+=($!)
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# wait_for URL: until it answers, at most five minutes: a large catalogue has to be read first
wait_for() {
    local _
    for _ in $(seq 3000); do
        curl -sf -o /dev/null "$1" && return
        sleep 0.1
    done
    echo "bench: $1 does not answer" >&2
    exit 1
}

# requests a second, from wrk's report on standard input; fails where an answer was no success
rate_of_wrk() {
    awk '/Requests\/sec/ { rate = $2 } /Non-2xx|Socket errors/ { print "bench: " $0 > "/dev/stderr"; bad = 1 }
         END { if (bad || rate == "") exit 1; print rate }'
}

median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

# row WHAT OURS PEER: one line of the table, from two files of figures
row() {
    local ours peer
    ours=$(median <"$2") peer=$(median <"$3")
    awk -v w="$1" -v o="$ours" -v p="$peer" 'BEGIN { printf "| %s | %.0f | %.0f | **%.2f** |\n", w, o, p, o / p }'
}

machine() {
    echo "$(nproc) cores ($(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)), $(uname -sr), $(date -u +%F);" \
        "server on core $SERVER_CORE, load on core $LOAD_CORE, $RUNS runs of $SECONDS_EACH s each, medians"
}

# serve_mercado STORE PORT [options]: starts it with one worker
serve_mercado() {
    local store=$1 port=$2
    shift 2
    behind target/dist/mercado --workers 1 --port "$port" --store "$store" --rust-log warn --drain-seconds 0 \
        --connection-age-seconds 86400 "$@"
    wait_for "http://127.0.0.1:$port/readyz"
}
