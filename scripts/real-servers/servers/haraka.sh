# Sourced by `run`: Haraka as sender, and one Haraka per row of behaviours/haraka.tsv as receiving server.

haraka_install() {
    [ ! -e "$LAB/haraka/node_modules/Haraka" ] || return 0
    echo "layer haraka: Haraka from npm"
    mkdir -p "$LAB/haraka"
    (cd "$LAB/haraka" && npm install --silent --no-fund --no-audit --ignore-scripts Haraka haraka-plugin-attachment \
        haraka-plugin-access haraka-plugin-headers haraka-plugin-fcrdns haraka-plugin-helo.checks >"$LAB/logs/layer-haraka.log" 2>&1)
}

haraka_start() { # haraka_start NAME ADDRESS RESOLVER HOST
    local dir=$LAB/haraka-$1 shipped=$LAB/haraka/node_modules/Haraka/config
    put "$dir/config/smtp.ini" <<<"listen=$2:25"$'\n'"nodes=0"
    put "$dir/config/me" <<<"$4"
    put "$dir/resolv.conf" <<<"nameserver $3"
    cp -n "$shipped/outbound.bounce_message" "$shipped/connection.ini" "$dir/config/"
    in_lab unshare -m sh -c "mount --bind $dir/resolv.conf /etc/resolv.conf
        NODE_PATH=$LAB/haraka/node_modules exec $(command -v node) $LAB/haraka/node_modules/Haraka/bin/haraka -c $dir" \
        >"$LAB/logs/haraka-$1.log" 2>&1 &
    disown
}

haraka_sender() {
    haraka_install
    rm -rf "$LAB"/haraka-*
    mkdir -p "$LAB/haraka-s/config" "$LAB/haraka-s/queue"
    mkdir -p "$LAB/haraka-s/plugins"
    printf 'relay\nfrom_own_address\n' >"$LAB/haraka-s/config/plugins"
    cat >"$LAB/haraka-s/plugins/from_own_address.js" <<E
// Sends from the sender's own address: receiving servers tell senders apart by it.
exports.hook_data = (next, connection) => {
    connection.transaction.notes.outbound_ip = '127.0.1.6';
    connection.transaction.notes.outbound_helo = 'out6.example.test';
    next();
};
E
    printf '[relay]\nacl=true\n' >"$LAB/haraka-s/config/relay.ini"
    printf '127.0.0.0/8\n' >"$LAB/haraka-s/config/relay_acl_allow"
    cat >"$LAB/haraka-s/config/outbound.ini" <<E
temp_fail_intervals=8s,8s,8s
enable_tls=false
connect_timeout=5
pool_timeout=2
local_mx_ok=true
E
    haraka_start s 127.0.1.6 127.0.0.53 out6.example.test
}

haraka_destination() {
    local id user setting part name value
    while IFS=$'\t' read -r id user setting; do
        mkdir -p "$LAB/haraka-$id/config" "$LAB/haraka-$id/queue"
        echo "d$id.dest.test" >"$LAB/haraka-$id/config/host_list"
        cp "$LAB/haraka/node_modules/Haraka/config/connection.ini" "$LAB/haraka-$id/config/"
        while read -r part; do
            name=${part%%=*}
            value=${part#*=}
            case $name in
                bytes | max_received) sed -i "s/^$name=.*/$name=$value/" "$LAB/haraka-$id/config/connection.ini" ;;
                *) printf '%b\n' "${value//,/\\n}" >"$LAB/haraka-$id/config/$name" ;;
            esac
        done < <(sed 's/ ; /\n/g' <<<"$setting")
        haraka_start "$id" "$(address "$id")" 127.0.0.54 "mx$id.dest.test"
    done < <(behaviours haraka)
}
