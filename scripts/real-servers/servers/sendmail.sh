# Sourced by `run`: Sendmail as sender, and one Sendmail per row of behaviours/sendmail.tsv as receiving server.

sendmail_mc() { # sendmail_mc HOST ADDRESS CLIENT_ADDRESS NAME [MODIFIER]: lines of .mc that both sides share
    cat <<E
include(\`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(\`linux')dnl
define(\`confDOMAIN_NAME', \`$1')dnl
define(\`confDONT_PROBE_INTERFACES', \`True')dnl
define(\`confDONT_BLAME_SENDMAIL', \`GroupWritableDirPathSafe,ForwardFileInUnsafeDirPath')dnl
define(\`confPID_FILE', \`/run/sendmail-$4.pid')dnl
define(\`QUEUE_DIR', \`/var/spool/mqueue/$4')dnl
define(\`HOST_STATUS_DIRECTORY')dnl
define(\`STATUS_FILE', \`/var/lib/sendmail-$4.st')dnl
define(\`ALIAS_FILE', \`/etc/mail/aliases')dnl
define(\`confMIN_QUEUE_AGE', \`0')dnl
define(\`confTO_CONNECT', \`5s')dnl
define(\`confTO_ICONNECT', \`5s')dnl
define(\`confTO_INITIAL', \`6s')dnl
define(\`confTO_RCPT', \`6s')dnl
define(\`confTO_DATAFINAL', \`6s')dnl
define(\`confTO_IDENT', \`0')dnl
define(\`confTO_QUEUEWARN', \`8s')dnl
define(\`confPRIVACY_FLAGS', \`')dnl
FEATURE(\`no_default_msa')dnl
FEATURE(\`nouucp', \`reject')dnl
FEATURE(\`use_cw_file')dnl
define(\`confCW_FILE', \`/etc/mail/names-$4')dnl
DAEMON_OPTIONS(\`Family=inet, Name=MTA, Addr=$2, Port=25${5:-}')dnl
CLIENT_OPTIONS(\`Family=inet, Addr=$3, M=S')dnl
E
}

sendmail_start() { # sendmail_start ROOT NAME: what sendmail_mc and its additions wrote
    in_root "$1" sh -c "mkdir -p -m 700 /var/spool/mqueue/$2; touch /var/lib/sendmail-$2.st /etc/mail/names-$2
        m4 /etc/mail/$2.mc >/etc/mail/$2.cf 2>/tmp/$2.m4 && /usr/sbin/sendmail -L sm-$2 -C /etc/mail/$2.cf -bd -q5s" ||
        echo "Sendmail does not start as $2" >&2
}

sendmail_aliases() {
    in_root "$1" sh -c 'mkdir -p /etc/mail; chown root:root /etc/mail; chmod 755 /etc/mail; rm -f /etc/mail/aliases*
        printf "%s\n" "f1: u7@d101.dest.test" "f2: u1@d951.dest.test" "x67: \"|exit 67\"" "x1: \"|exit 1\"" "l1: u1, u7@d102.dest.test" >/etc/mail/aliases
        echo "MAILER-DAEMON: root" >>/etc/mail/aliases'
}

sendmail_sender() {
    root sendmail-s sendmail 127.0.0.53
    sendmail_aliases sendmail-s
    { sendmail_mc out3.example.test 127.0.1.3 127.0.1.3 out
      cat <<E
define(\`confTO_QUEUERETURN', \`45s')dnl
FEATURE(\`accept_unresolvable_domains')dnl
FEATURE(\`promiscuous_relay')dnl
MAILER(\`smtp')dnl
E
    } | put "$R/etc/mail/out.mc"
    put "$R/etc/mail/names-out" <<<out3.example.test
    sendmail_start sendmail-s out
}

sendmail_destination() {
    root sendmail-d sendmail 127.0.0.54
    sendmail_aliases sendmail-d
    put "$R/etc/mail/access-from" <<E
From:bounces.example.test	REJECT
E
    put "$R/etc/mail/access-client" <<E
Connect:127.0.1	REJECT
Connect:127.0.0.1	REJECT
E
    put "$R/etc/mail/access-rate" <<E
ClientRate:	1
ClientConn:	1
E
    put "$R/etc/mail/access-to" <<E
To:u1@	ERROR:"550 Mailbox disabled for this username"
To:u2@	ERROR:5.2.1:550 Mailbox disabled for this recipient
To:u5@	REJECT
E
    put "$R/etc/mail/virtual" <<E
u1@d320.dest.test	error:nouser 550 No such user here
@d321.dest.test	error:5.7.0:550 Address invalid
E
    in_root sendmail-d sh -c 'cd /etc/mail; for map in access-from access-client access-rate access-to virtual; do makemap hash $map <$map; done
        head -c 5000 /dev/zero | tr "\0" x >/var/mail/u3; chown u3:mail /var/mail/u3
        echo "u8: u9@d109.dest.test.REDIRECT" >>/etc/mail/aliases'
    local id user setting
    while IFS=$'\t' read -r id user setting; do
        { sendmail_mc "mx$id.dest.test" "$(address "$id")" 127.0.4.250 "$id" "$([[ $setting != *auth* ]] || echo ', M=a')"
          echo "define(\`confTO_QUEUERETURN', \`25s')dnl"
          sed 's/ ; /\n/g; s/^-$//' <<<"$setting" | sed 's/$/dnl/; s/^hold=yesdnl//'
          echo "MAILER(\`local')dnl"
          echo "MAILER(\`smtp')dnl"
        } | put "$R/etc/mail/$id.mc"
        [[ $setting = *norelay* ]] || put "$R/etc/mail/names-$id" <<<"d$id.dest.test"
        sendmail_start sendmail-d "$id"
        [ "$id" != 301 ] || in_root sendmail-d newaliases -C /etc/mail/301.cf >"$LAB/logs/newaliases.log" 2>&1 || true
    done < <(behaviours sendmail)
}
