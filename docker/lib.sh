# shellcheck shell=bash
# Of docker/check and docker/check-compose: building, running and looking at containers whose names begin with $prefix.

SECRETO=secreto-de-docker-check
# without systemd podman cannot time health checks and says so each time: they are run by hand
NARROW=(--read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges --no-healthcheck)

step() { printf '\n== %s\n' "$*"; }

die() {
    echo "$0: $*" >&2
    exit 1
}

# needs PACKAGE COMMAND: installs a Debian package where its command is missing
needs() {
    command -v "$2" >/dev/null && return
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "$0: $2 is missing; install the package $1 (as root, this script does it by apt-get)" >&2
        exit 69
    fi
    [ -n "${APT_UPDATED:-}" ] || { apt-get -qq -o DPkg::Lock::Timeout=300 update && APT_UPDATED=1; }
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1" >/dev/null
}

# settings DIR: what podman needs in a container or on a machine without systemd, and what does no harm elsewhere
settings() {
    cat >"$1/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
CONF
    export CONTAINERS_CONF=$1/containers.conf
}

clean() {
    local containers
    containers=$(podman ps -aq --filter "name=^${prefix}[-_]")
    # shellcheck disable=SC2086 # one word for each
    # what compose calls depends_on forbids any other order; whoever goes with another is not there when his turn comes
    [ -z "$containers" ] || podman rm -f -v -t 0 --depend --ignore $containers >/dev/null 2>&1 || true
    podman volume ls -q --filter "name=^${prefix}[-_]" | xargs -r podman volume rm -f >/dev/null
    podman network ls -q --filter "name=$prefix" | xargs -r podman network rm -f >/dev/null
    rm -rf "$work"
}

# Pulls the base image, or makes an empty one that this machine's compiler and libraries are mounted into. Either is kept, so
# that the layers above it are found again.
base() {
    BUILD_OPTIONS=()
    local name stand_in directory registry
    name=$(sed -n 's/^ARG RUST=//p' docker/Dockerfile)
    if podman image exists "$name" || podman pull -q "$name" >/dev/null 2>&1; then
        return
    fi
    echo "$name cannot be pulled; this machine's $(rustc --version) stands in"
    [ -f "$(cc -print-file-name=libc.a)" ] || die "libc.a is missing; install gcc and libc6-dev"
    stand_in=localhost/mercado-check/rust:$(rustc --version | cut -d' ' -f2)
    if ! podman image exists "$stand_in"; then
        mkdir -p "$work/base"/{usr,etc,rust,cargo,tmp}
        for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$work/base/$directory"; done
        tar -C "$work/base" -c . |
            podman import -q -c ENV=PATH=/rust/bin:/usr/bin -c ENV=CARGO_HOME=/cargo - "$stand_in" >/dev/null
    fi
    registry=${CARGO_HOME:-$HOME/.cargo}/registry
    mkdir -p "$registry"
    BUILD_OPTIONS=(--build-arg RUST="$stand_in" --volume "$(rustc --print sysroot):/rust:ro")
    for directory in /usr /etc/alternatives /etc/ssl; do BUILD_OPTIONS+=(--volume "$directory:$directory:ro"); done
    # an overlay: what cargo downloads besides is not kept
    BUILD_OPTIONS+=(--volume "$registry:/cargo/registry:O")
}

image() { echo "localhost/mercado-check/$1"; }

# --format docker: the OCI format has no health check
build() {
    podman build --layers --format docker --file docker/Dockerfile --tag "$(image "$1")" "${BUILD_OPTIONS[@]}" \
        --build-arg SERVICIO="$1" . >"$work/build" 2>&1 ||
        { tail -50 "$work/build" >&2 && die "the image of $1 is not built"; }
}

# contain SERVICE: a container as on Kubernetes, not yet started
contain() {
    podman create -q --name "$prefix-$1" --network "$prefix" --network-alias "$1" "${NARROW[@]}" \
        --memory "$MEMORIA" --memory-swap "$MEMORIA" --volume "$prefix-$1:/datos" \
        --volume "$PWD/$1/$1.json:/semilla/$1.json:ro" --env SEED_DIR=/semilla --env INTERNAL_TOKEN=$SECRETO --env CUENTAS=no \
        --env DRAIN_SECONDS=1 --env GRACE_SECONDS=5 --env ORPHAN_AGE_MS=4000 "$(image "$1")" >/dev/null
}

pid() { podman inspect --format '{{.State.Pid}}' "$prefix-$1"; }

ip() { podman inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$prefix-$1"; }

# ready SERVICE: waits for /readyz
ready() {
    local address i
    address=$(ip "$1")
    for ((i = 0; i < 1000; i++)); do
        curl -sf -o /dev/null --max-time 1 "http://$address:${PUERTO:-8000}/readyz" && return
        [ "$(podman inspect --format '{{.State.Running}}' "$prefix-$1")" = true ] || break
        sleep 0.01
    done
    podman logs "$prefix-$1" >&2
    die "$1 is not ready"
}

# rss SERVICE: resident memory in MiB, of which a part is the binary's file
rss() { awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$(pid "$1")/status"; }

# confined SERVICE: what the kernel says of its process, and which files it holds open for writing
confined() {
    local status fd target
    status=/proc/$(pid "$1")/status
    expect "$1: user, group, capabilities, no_new_privs, seccomp" \
        "$(awk '/^(Uid|Gid|CapPrm|CapBnd|NoNewPrivs|Seccomp):/ {printf "%s ", $2}' "$status")" \
        "65532 65532 0000000000000000 0000000000000000 1 2 "
    for fd in "/proc/$(pid "$1")/fd"/*; do
        target=$(readlink "$fd") || continue
        case $target in
            /datos/* | /dev/null | /dev/urandom | pipe:* | socket:* | anon_inode:*) ;;
            *) die "$1 has $target open" ;;
        esac
    done
    expect "$1: changed files of the image" "$(podman diff "$prefix-$1" | grep -vE ' /(datos|semilla|etc|run|dev|proc|sys)(/|$)' || true)" ""
}

# expect WHAT FOUND WANTED
expect() {
    [ "$2" = "$3" ] || die "$1: found '$2', expected '$3'"
    echo "$1: ${2:-none}"
}

get() { curl -sf --max-time 10 "$1"; }

post() { curl -sf --max-time 10 -H content-type:application/json -d "$2" "$1"; }

# total URL: how long a list is
total() { curl -sfI --max-time 10 "$1" | tr -d '\r' | sed -n 's/^x-total-count: //ip'; }

# buy USUARIO TOKEN: as a buyer does, who tries again under the same key when he is told to, as on a machine too busy for the
# purchase's deadline
buy() {
    local key code
    key=compra-$(date +%s%N)
    for _ in 1 2 3; do
        code=$(curl -s -o "$work/bought" -w '%{http_code}' --max-time 10 -H content-type:application/json \
            -H "Idempotency-Key: $key" -d "{\"usuarioId\":$1,\"tokenId\":$2}" "$transacciones/transacciones") || true
        [ "$code" != 201 ] || { cat "$work/bought" && return; }
        echo "POST /transacciones: $code $(cat "$work/bought")" >&2
        [ "$code" = 503 ] || return 1
        sleep 1
    done
    return 1
}

# settled: waits until no try is pending. Participants may hear of a commit a moment after the buyer, and of what a killed
# coordinator left when recovery looks for it
settled() {
    local i
    for ((i = 0; i < 150; i++)); do
        [ "$(get "$transacciones/transacciones/auditoria" | jq .pendientes)" != 0 ] || return 0
        sleep 0.1
    done
    die "tries are still pending: $(get "$transacciones/transacciones/auditoria")"
}

# audited COUNT: so many purchases, and nothing wrong
audited() {
    settled
    expect audit "$(get "$transacciones/transacciones/auditoria" | jq -c '[.correcto, .transacciones]')" "[true,$1]"
}
