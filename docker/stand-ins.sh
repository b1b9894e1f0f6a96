# shellcheck shell=bash
# Of docker/check-compose: images for what compose.yaml takes from others, where theirs cannot be pulled. Each has the
# programs of this machine with the libraries that they ask for, and does what the real one does with what it is given.

# stands_in NAME PATTERN: sets IMAGE to the image of compose.yaml that PATTERN begins, where it is there or can be pulled;
# else fails, and sets IMAGE to the stand-in's name and $root to an empty tree for it
stands_in() {
    IMAGE=$(sed -n "s/^ *image: \($2.*\)/\1/p" docker/compose.yaml)
    podman image exists "$IMAGE" || podman pull -q "docker.io/$IMAGE" >/dev/null 2>&1 && return
    echo "$IMAGE cannot be pulled: $3 stands in"
    IMAGE=localhost/mercado-check/$1
    root=$work/$1
    mkdir -p "$root"/{bin,etc,tmp}
    chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    return 1
}

# graft PROGRAM...: copies programs into $root, where they are here, with their libraries
graft() {
    local file
    for file; do
        echo "$file"
        ldd "$file" | grep -o '/[^ ]*'
    done | sort -u | while read -r file; do
        mkdir -p "$root${file%/*}"
        cp -L "$file" "$root$file"
    done
}

# entry_point: the script on stdin
entry_point() {
    cat >"$root/entrypoint.sh"
    chmod 755 "$root/entrypoint.sh"
}

# finish OPTION...: the image of $root
finish() {
    # one that a container has keeps its layers, without the name
    podman rmi "$IMAGE" >/dev/null 2>&1 || true
    tar -C "$root" -c . | podman import -q "$@" - "$IMAGE" >/dev/null
}

# What nginx's own entry point does with templates and resolvers
gateway_image() {
    stands_in nginx nginxinc "an nginx of its version" && return
    local nginx name
    nginx=$(k8s/tests/build-nginx)
    graft "$nginx"
    mv "$root$nginx" "$root/bin/nginx"
    mkdir "$root/etc/nginx"
    for name in sed awk wget; do ln -s busybox "$root/bin/$name"; done
    printf 'types {\n text/html html;\n text/css css;\n text/javascript js;\n image/svg+xml svg;\n}\n' \
        >"$root/etc/nginx/mime.types"
    printf '%s\n' 'nobody:x:65534:65534::/:/bin/sh' 'nginx:x:101:101::/:/bin/sh' >"$root/etc/passwd"
    printf '%s\n' 'nogroup:x:65534:' 'nginx:x:101:' >"$root/etc/group"
    entry_point <<'SH'
#!/bin/sh
set -eu
export NGINX_LOCAL_RESOLVERS
NGINX_LOCAL_RESOLVERS=$(awk '/^nameserver/ {printf(($2 ~ /:/) ? "[%s] " : "%s ", $2)}' /etc/resolv.conf)
for file in /docker-entrypoint.d/*.envsh; do
    # shellcheck source=docker/first-resolver.envsh
    [ ! -x "$file" ] || . "$file"
done
for template in /etc/nginx/templates/*.template; do
    name=${template##*/}
    awk '{
        for (name in ENVIRON) if (name ~ ENVIRON["NGINX_ENVSUBST_FILTER"]) while (at = index($0, "${" name "}"))
            $0 = substr($0, 1, at - 1) ENVIRON[name] substr($0, at + length(name) + 3)
        print
    }' "$template" >"$NGINX_ENVSUBST_OUTPUT_DIR/${name%.template}"
done
exec "$@"
SH
    finish -c 'ENTRYPOINT ["/entrypoint.sh"]' -c USER=101
}

# The server is an older one than the image's; our statements are for either (docs/SCALE.md)
postgres_image() {
    local bin version name
    bin=$(find /usr/lib/postgresql -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -1)
    [ -n "$bin" ] || {
        needs postgresql /usr/lib/postgresql/bin/initdb
        bin=$(find /usr/lib/postgresql -name initdb -printf '%h\n' | sort -V | tail -1)
    }
    version=${bin%/bin}
    version=${version##*/}
    stands_in postgres postgres: "Debian's PostgreSQL $version" && return
    for name in postgres initdb pg_ctl psql pg_isready; do set -- "$@" "$bin/$name"; done
    graft "$@"
    cp -r "${bin%bin}lib" "$root${bin%/bin}/"
    rm -rf "$root${bin%/bin}"/lib/{bitcode,llvmjit*}
    mkdir -p "$root"/usr/share/{postgresql,zoneinfo} "$root"/usr/lib/locale "$root/var/lib/postgresql"
    cp -r "/usr/share/postgresql/$version" "$root/usr/share/postgresql/"
    cp -r /usr/lib/locale/C.utf8 "$root/usr/lib/locale/"
    cp /usr/share/zoneinfo/UTC "$root/usr/share/zoneinfo/"
    sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$root/usr/share/postgresql/$version/postgresql.conf.sample"
    install -d -o 70 -g 70 -m 1777 "$root/var/lib/postgresql/data"
    # a tmpfs takes its mode from here, as with the real image
    install -d -o 70 -g 70 -m 3777 "$root/var/run/postgresql"
    echo 'postgres:x:70:70::/var/lib/postgresql:/bin/sh' >"$root/etc/passwd"
    echo 'postgres:x:70:' >"$root/etc/group"
    ln -s busybox "$root/bin/rm"
    entry_point <<'SH'
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
    # shellcheck disable=SC2086 # options
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl start --wait -o "-c listen_addresses=''"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres
    pg_ctl stop --wait --mode=fast
fi
exec "$@"
SH
    finish -c 'ENTRYPOINT ["/entrypoint.sh"]' -c "ENV=PATH=$bin:/bin" -c ENV=PGDATA=/var/lib/postgresql/data \
        -c ENV=LANG=C.UTF-8 -c STOPSIGNAL=SIGINT
}

redis_image() {
    needs redis-server redis-server
    needs redis-tools redis-cli
    stands_in redis redis: "Debian's $(redis-server --version | cut -d' ' -f1-3)" && return
    graft "$(command -v redis-server)" "$(command -v redis-cli)"
    echo 'redis:x:999:1000::/tmp:/bin/sh' >"$root/etc/passwd"
    # the image's server is compiled to answer others than loopback without a password
    printf '#!/bin/sh\nexec /usr/bin/redis-server "$@" --protected-mode no\n' >"$root/bin/redis-server"
    chmod 755 "$root/bin/redis-server"
    finish -c ENV=PATH=/bin:/usr/bin
}
