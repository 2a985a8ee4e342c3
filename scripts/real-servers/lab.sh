# Sourced by `run`: a base system, one layer per package set, one root per server, and how to run things in them.
#
#   layer NAME PACKAGES   installs packages on top of the base, once
#   root NAME LAYER       a fresh root folder on top of a layer; leaves its path in $R
#   in_lab CMD            runs in the lab's namespaces: no way out, only 127.0.0.0/8
#   in_root NAME CMD      the same, inside a root
# $LAB is the lab's folder, $HERE the folder of these scripts.

start_holder() {
    mkdir -p "$LAB"/{layers,roots,logs}
    setsid unshare --net --mount --pid --uts --fork --mount-proc "$HERE/holder" 2>/dev/null &
    unshare_pid=$!
    disown
    local i
    for i in $(seq 50); do
        holder=$(pgrep -P "$unshare_pid" || true)
        [ -n "$holder" ] && in_lab ip route show table local 2>/dev/null | grep -q unreachable && return
        sleep 0.1
    done
    echo "The lab's namespaces did not start." >&2
    exit 1
}

stop_holder() {
    [ -z "${holder:-}" ] || kill -9 "$holder" 2>/dev/null || true
}

in_lab() { nsenter -t "$holder" -m -n -p -u "$@"; }

in_root() { # in_root NAME CMD
    local name=$1
    shift
    in_lab chroot "$LAB/roots/$name" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C "$@"
}

base() {
    [ ! -e "$LAB/base/.done" ] || return 0
    echo "base system"
    mkdir -p "$LAB/logs"
    debootstrap --variant=minbase bookworm "$LAB/base" >"$LAB/logs/debootstrap.log"
    printf '#!/bin/sh\nexit 101\n' >"$LAB/base/usr/sbin/policy-rc.d"
    chmod 755 "$LAB/base/usr/sbin/policy-rc.d"
    printf 'path-exclude=/usr/share/doc/*\n' >"$LAB/base/etc/dpkg/dpkg.cfg.d/lab"
    for user in u1 u2 u3 u4 u5 u6; do chroot "$LAB/base" useradd -m "$user"; done
    printf 'APT::Install-Recommends "false";\n' >"$LAB/base/etc/apt/apt.conf.d/lab"
    cat /etc/resolv.conf >"$LAB/base/etc/resolv.conf"
    chroot "$LAB/base" apt-get update -qq
    touch "$LAB/base/.done"
}

# A root needs a few device files. A whole /dev would hand the lab's log lines to this machine.
devices() { # devices FOLDER
    in_lab mount -t tmpfs dev "$1/dev"
    local file
    for file in null zero full random urandom tty; do
        in_lab touch "$1/dev/$file"
        in_lab mount --bind "/dev/$file" "$1/dev/$file"
    done
    in_lab ln -s /proc/self/fd "$1/dev/fd"
    in_lab mkdir "$1/dev/shm"
    in_lab mount -t proc proc "$1/proc"
}

layer() { # layer NAME PACKAGE...
    local name=$1 dir=$LAB/layers/$1
    shift
    [ ! -e "$dir/.done" ] || return 0
    echo "layer $name: $*"
    rm -rf "$dir"
    mkdir -p "$dir"/{upper,work,mnt}
    in_lab mount -t overlay overlay -o "lowerdir=$LAB/base,upperdir=$dir/upper,workdir=$dir/work" "$dir/mnt"
    devices "$dir/mnt"
    # Without -n: installing is the one thing that needs the network.
    nsenter -t "$holder" -m -p -u chroot "$dir/mnt" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install -y -qq "$@" >"$LAB/logs/layer-$name.log" 2>&1 </dev/null ||
        { echo "could not install: $*" >&2; return 1; }
    in_lab umount -R "$dir/mnt"
    touch "$dir/.done"
}

root() { # root NAME LAYER [RESOLVER]
    local dir=$LAB/roots/$1
    R=$dir
    rm -rf "$LAB/changes/$1"
    mkdir -p "$dir" "$LAB/changes/$1"/{upper,work}
    in_lab mount -t overlay overlay \
        -o "lowerdir=$LAB/layers/$2/upper:$LAB/base,upperdir=$LAB/changes/$1/upper,workdir=$LAB/changes/$1/work" "$dir"
    devices "$dir"
    put "$dir/etc/resolv.conf" <<<"nameserver ${3:-127.0.0.54}"
    put "$dir/etc/hosts" <<<"127.0.0.1 localhost lab.example.test lab"
    put "$dir/etc/hostname" <<<"$1.example.test"
    put "$dir/etc/mailname" <<<"$1.example.test"
    in_lab "$PYTHON" "$HERE/syslog.py" "$dir/dev/log" "$LAB/logs/$1.log" &
    disown
}

put() { # put FILE: standard input, as the lab's mounts see the file
    in_lab tee "$1" >/dev/null
}

# The rows of behaviours/NAME.tsv as `id<TAB>user<TAB>setting`.
behaviours() { awk -F'\t' '!/^#/ && NF { print $1 "\t" $2 "\t" $6 }' "$HERE/behaviours/$1.tsv"; }

address() { echo "127.0.$(($1 / 100 + 1)).$(($1 % 100))"; } # address ID

wait_for_port() { # wait_for_port ADDRESS PORT
    local i
    for i in $(seq 100); do
        in_lab "$PYTHON" -c "import socket; socket.create_connection(('$1', $2), 1)" 2>/dev/null && return
        sleep 0.1
    done
    echo "nobody listens on $1:$2" >&2
    return 1
}
