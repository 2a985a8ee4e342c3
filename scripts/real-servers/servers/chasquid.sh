# Sourced by `run`: chasquid as sender, for users who log in, and as receiving server.

chasquid_start() { # chasquid_start ROOT HOST DOMAINS: listening lines come from standard input
    {
        cat
        echo "hostname: \"$2\""
        echo 'mail_delivery_agent_bin: "/bin/true"'
    } | put "$R/etc/chasquid/chasquid.conf"
    in_root "$1" sh -c "
        mkdir -p /etc/chasquid/certs/$2
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=$2 -keyout /etc/chasquid/certs/$2/privkey.pem -out /etc/chasquid/certs/$2/fullchain.pem 2>/dev/null
        for domain in $3; do
            mkdir -p /etc/chasquid/domains/\$domain
            chasquid-util user-add u1@\$domain --password=x
            echo 'f1: u7@d101.dest.test' >/etc/chasquid/domains/\$domain/aliases
        done
        chown -R _chasquid /etc/chasquid 2>/dev/null || true
        (chasquid >/var/log/chasquid.log 2>&1 &)" >"$LAB/logs/$1-start.log" 2>&1
}

chasquid_sender() {
    root chasquid-s chasquid 127.0.0.53
    chasquid_start chasquid-s out7.example.test out7.example.test <<E
smtp_address: "127.0.1.7:25"
submission_address: "127.0.1.7:587"
E
}

chasquid_destination() {
    root chasquid-d chasquid 127.0.0.54
    {
        behaviours chasquid | while IFS=$'\t' read -r id _; do echo "smtp_address: \"$(address "$id"):25\""; done
        echo 'submission_address: "127.0.11.200:587"'
    } >"$LAB/chasquid-listens"
    chasquid_start chasquid-d mx1001.dest.test \
        "$(behaviours chasquid | awk -F'\t' '$3 !~ /norelay/ { printf "d%s.dest.test ", $1 }')" <"$LAB/chasquid-listens"
}
