# Sourced by `run`: Courier as sender and, in another root, as receiving server.

courier_start() { # courier_start ROOT
    in_root "$1" sh -c 'mkdir -p /run/courier/authdaemon; chown -R courier:courier /run/courier
        authdaemond start; courierfilter start; courier start; esmtpd start' >"$LAB/logs/$1-start.log" 2>&1 ||
        echo "Courier does not start: $1" >&2
}

courier_files() { # courier_files: names and times that both sides need
    local file
    for file in queuetime:45s warntime:8s retryalpha:5s retrybeta:8s retrygamma:8s retrymaxdelta:1 submitdelay:1s esmtptimeoutconnect:5s \
        esmtptimeouthelo:6s esmtptimeout:6s esmtptimeoutdata:6s esmtptimeoutquit:2s esmtpdelay:0 esmtptimeoutkeepalive:0 esmtptimeoutkeepaliveping:0; do
        put "$R/etc/courier/${file%%:*}" <<<"${file#*:}"
    done
    in_lab sed -i 's/^ESMTP_USE_STARTTLS=.*/ESMTP_USE_STARTTLS=0/; s/^BOFHCHECKHELO=.*/BOFHCHECKHELO=0/; s/^ESMTP_BLOCKBACKSCATTER=.*/ESMTP_BLOCKBACKSCATTER=/' \
        "$R/etc/courier/courierd" "$R/etc/courier/esmtpd"
}

courier_sender() {
    root courier-s courier 127.0.0.53
    courier_files
    put "$R/etc/courier/me" <<<out5.example.test
    put "$R/etc/courier/defaultdomain" <<<out5.example.test
    put "$R/etc/courier/locals" <<<out5.example.test
    put "$R/etc/courier/bofh" <<<"opt BOFHCHECKDNS=0"
    put "$R/etc/courier/ipout" <<<"127.0.1.5"
    put "$R/etc/courier/smtpaccess/default" <<E
127	allow,RELAYCLIENT,BLOCK
E
    in_lab sed -i 's/^PORT=.*/PORT=127.0.1.5.25/; s/^BLACKLISTS=.*/BLACKLISTS=/; s/^ESMTPDSTART=.*/ESMTPDSTART=YES/; s/^BOFHCHECKDNS=.*/BOFHCHECKDNS=0/' "$R/etc/courier/esmtpd"
    in_root courier-s makesmtpaccess
    courier_start courier-s
}

courier_destination() {
    root courier-d courier 127.0.0.54
    courier_files
    put "$R/etc/courier/me" <<<mx501.dest.test
    put "$R/etc/courier/defaultdomain" <<<d501.dest.test
    behaviours courier | awk -F'\t' '$3 !~ /norelay/ { print "d" $1 ".dest.test" }' | put "$R/etc/courier/locals"
    in_lab cp "$R/etc/courier/locals" "$R/etc/courier/esmtpacceptmailfor"
    put "$R/etc/courier/ipout" <<<"127.0.6.250"
    put "$R/etc/courier/sizelimit" <<<5000
    put "$R/etc/courier/bofh" <<E
opt BOFHSUPPRESSBACKSCATTER=none
badfrom @b3.example.test
badmx 127.0.10.3
maxrcpts 3
E
    put "$R/etc/courier/smtpaccess/default" <<E
127.0.1	allow
127.0.0	allow
E
    put "$R/etc/courier/aliases/lab" <<E
f1@d501.dest.test: u7@d101.dest.test
f2@d501.dest.test: u1@d951.dest.test
f1: u7@d101.dest.test
f2: u1@d951.dest.test
E
    in_lab sed -i "s/^PORT=.*/PORT=$(behaviours courier | while IFS=$'\t' read -r id _; do printf '%s.25,' "$(address "$id")"; done | sed 's/,$//')/; s/^ESMTPDSTART=.*/ESMTPDSTART=YES/; s/^BOFHCHECKDNS=.*/BOFHCHECKDNS=1/; s/^MAXDAEMONS=.*/MAXDAEMONS=200/; s/^MAXPERC=.*/MAXPERC=200/; s/^MAXPERIP=.*/MAXPERIP=200/; s/^TARPIT=.*/TARPIT=0/; s/^COURIERTLS=.*/COURIERTLS=/" "$R/etc/courier/esmtpd"
    in_root courier-d sh -c 'makesmtpaccess; makealiases; makeacceptmailfor
        for user in u1 u2 u3; do su $user -s /bin/sh -c "cd; maildirmake Maildir"; done
        su u3 -s /bin/sh -c "cd; maildirmake -q 2000S Maildir; echo ./Maildir >.courier"
        head -c 4000 /dev/zero | tr "\0" x >/home/u3/Maildir/cur/1.x,S=4000:2,S; chown u3 /home/u3/Maildir/cur/*
        su u2 -s /bin/sh -c "cd; echo \"|exit 77\" >.courier"
        su u4 -s /bin/sh -c "cd; echo \"|exit 1\" >.courier"
        su u5 -s /bin/sh -c "cd; echo \"|exit 75\" >.courier"' || true
    courier_start courier-d
}
