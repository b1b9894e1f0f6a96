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

# below those that Linux gives to connections
free_port() {
    python3 -c 'import random, socket
while socket.socket().connect_ex(("127.0.0.1", port := random.randrange(10000, 30000))) == 0: pass
print(port)'
}

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

# header WHAT OURS PEER: the head of the table
header() {
    HEADER=("$@")
    echo "| $1 | $2 | $3 | ratio | target |"
    echo "| --- | --- | --- | --- | --- |"
}

# row WHAT OURS PEER [TARGET]: one line of the table, from two files of figures. bench/todo gathers the lines in BENCH_ROWS
row() {
    local ours peer
    ours=$(median <"$2") peer=$(median <"$3")
    awk -v w="$1" -v o="$ours" -v p="$peer" -v t="${4:-}" \
        'BEGIN { printf "| %s | %.0f | %.0f | **%.2f** | %s |\n", w, o, p, o / p, t }'
    [ -z "${BENCH_ROWS:-}" ] ||
        printf '%s\t%s\t%s\t%s\t%s\t%s\n' "${HEADER[0]}" "$1" "${HEADER[2]}" "$ours" "$peer" "${4:-}" >>"$BENCH_ROWS"
}

machine() {
    echo "$(nproc) cores ($(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)), $(uname -sr), $(date -u +%F);" \
        "server on core $SERVER_CORE, load on core $LOAD_CORE, $RUNS runs of $SECONDS_EACH s each, medians"
}

# MERCADO names a binary to measure in place of the one that is built here
build_mercado() {
    if [ -z "${MERCADO:-}" ]; then
        cargo build --profile dist -q -p mercado
        MERCADO=target/dist/mercado
    fi
}

# seed_market DIR STOCK DONE: a thousand rich users and STOCK tokens, of which the first DONE are bought
seed_market() {
    mkdir -p "$1"
    python3 - "$@" <<'PY'
import sys
where, stock, done = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def write(name, rows):
    with open(f"{where}/{name}.json", "w") as f:
        f.write("[\n" + ",\n".join(rows) + "\n]\n")
day = "2026-01-01T00:00:00Z"
write("usuarios", (f'{{"id":{u},"nombre":"U{u}","saldo":{10**12}}}' for u in range(1, 1001)))
sold = lambda i: (f',"venta":{{"intento":"s{i}#1","usuarioId":{i % 1000 + 1},"fecha":"{day}"}}' if i <= done else "")
write("tokens", (f'{{"id":{i},"nombre":"T{i}","imagen":"t.jpg","precio":1,"vendido":{"true" if i <= done else "false"}{sold(i)}}}'
                 for i in range(1, stock + 1)))
if done:
    write("transacciones", (f'{{"id":{i},"usuarioId":{i % 1000 + 1},"tokenId":{i},"fecha":"{day}","precio":1,"intento":"s{i}#1"}}'
                            for i in range(1, done + 1)))
    opening = (f'{{"id":{u},"usuarioId":{u},"monto":{10**12 + sum(1 for _ in range(u - 1 or 1000, done + 1, 1000))},"fecha":"{day}","tipo":"apertura"}}' for u in range(1, 1001))
    charge = (f'{{"id":{1000 + i},"usuarioId":{i % 1000 + 1},"monto":1,"fecha":"{day}","tipo":"cargo","intento":"s{i}#1","confirmado":true}}'
              for i in range(1, done + 1))
    import itertools
    write("movimientos", itertools.chain(opening, charge))
PY
}

# buy CLIENTS FIRST: purchases acknowledged a second, of the tokens behind FIRST, from $port
buy() {
    on_load_core wrk -t1 -c"$1" -d"${SECONDS_EACH}s" -s bench/compras.lua "http://127.0.0.1:$port" -- "$2" | rate_of_wrk
}

# correct: ends the benchmark where the market's audit is not right, once what wrk cut off at its end is settled.
# AUDITOR has curl's options for a market where people log in
AUDITOR=()
correct() {
    local _ verdict
    for _ in $(seq 100); do
        verdict=$(curl -sf "${AUDITOR[@]}" "http://127.0.0.1:$port/transacciones/auditoria")
        [[ $verdict == *'"pendientes":0'* ]] && break
        sleep 0.2
    done
    echo "audit: $(echo "$verdict" | cut -c1-200)"
    [[ $verdict == *'"correcto":true'* ]]
}

# serve_mercado STORE PORT [options]: starts it with one worker
serve_mercado() {
    local store=$1 port=$2
    shift 2
    behind "$MERCADO" --workers 1 --port "$port" --store "$store" --rust-log warn --drain-seconds 0 \
        --connection-age-seconds 86400 "$@"
    wait_for "http://127.0.0.1:$port/readyz"
}
