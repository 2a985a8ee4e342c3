# Sourced by `run`: one qpsmtpd per row of behaviours/qpsmtpd.tsv. It only receives.

qpsmtpd_destination() {
    root qpsmtpd qpsmtpd 127.0.0.54
    local id user setting part
    while IFS=$'\t' read -r id user setting; do
        in_root qpsmtpd sh -c "cp -r /etc/qpsmtpd /etc/q$id; : >/etc/q$id/plugins; [ '${setting/norelay/}' != '$setting' ] || echo d$id.dest.test >/etc/q$id/rcpthosts
            echo mx$id.dest.test >/etc/q$id/me; mkdir -p /var/spool/q$id; chown qpsmtpd /var/spool/q$id; chmod 700 /var/spool/q$id; echo /var/spool/q$id >/etc/q$id/spool_dir; : >/etc/q$id/relayclients"
        while read -r part; do
            in_root qpsmtpd sh -c 'echo "$1" >>"$2"' - "${part#*=}" "/etc/q$id/${part%%=*}"
        done < <(sed 's/ ; /\n/g' <<<"$setting"; echo plugins=rcpt_ok)
        in_root qpsmtpd sh -c "QPSMTPD_CONFIG=/etc/q$id qpsmtpd-forkserver -p 25 -l $(address "$id") -u qpsmtpd -d --pid-file /run/q$id.pid" \
            >"$LAB/logs/qpsmtpd-$id.log" 2>&1 || echo "qpsmtpd does not start as $id" >&2
    done < <(behaviours qpsmtpd)
}
