# Sourced by `run`: Postfix as sender, as harvest of everything that comes back, and as receiving server.

postfix_quick() { # short lives, so that what takes days takes a minute
    cat <<E
maximal_queue_lifetime = 45s
bounce_queue_lifetime = 45s
delay_warning_time = 8s
queue_run_delay = 5s
minimal_backoff_time = 5s
maximal_backoff_time = 8s
smtp_connect_timeout = 5s
smtp_helo_timeout = 6s
smtp_mail_timeout = 6s
smtp_rcpt_timeout = 6s
smtp_data_done_timeout = 6s
smtp_tls_security_level = none
compatibility_level = 3.7
E
}

start_postfix() { # start_postfix NAME RESOLVER: main.cf comes from standard input
    root "$1" postfix "$2"
    { cat; postfix_quick; echo "maillog_file = /var/log/postfix.log"; } | put "$R/etc/postfix/main.cf"
    put "$R/etc/aliases" </dev/null
    in_root "$1" postconf -F '*/*/chroot = n'
    in_root "$1" newaliases
}

# Addresses stand in master.cf: one that belonged to an interface would be taken by other servers for their own.
postfix_listens() { # postfix_listens ADDRESS
    in_lab sed -i "s/^smtp *inet/$1:25 inet/" "$R/etc/postfix/master.cf"
}

postfix_sender() {
    start_postfix postfix-s 127.0.0.53 <<E
myhostname = out1.example.test
mydestination =
inet_interfaces = 127.0.0.1
proxy_interfaces = 127.0.1.1
inet_protocols = ipv4
smtp_bind_address = 127.0.1.1
mynetworks = 127.0.0.0/8
notify_classes =
smtputf8_enable = yes
E
    postfix_listens 127.0.1.1
    in_root postfix-s postfix start
}

postfix_harvest() {
    start_postfix postfix-h 127.0.0.53 <<E
myhostname = mx.bounces.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.25/32
virtual_mailbox_domains = bounces.example.test b2.example.test b3.example.test b4.example.test news.example.test
virtual_mailbox_maps = static:harvest/
virtual_mailbox_base = /var/vmail
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_mailbox_limit = 0
notify_classes =
smtputf8_enable = yes
smtpd_peername_lookup = no
E
    in_root postfix-h install -d -o 5000 -g 5000 /var/vmail
    postfix_listens 127.0.0.25
    in_root postfix-h postfix start
}

# One listener of master.cf per behaviour. class=…, cleanup=…, screen=yes and hold=yes are ours, the rest is Postfix's.
postfix_listener() { # postfix_listener ID SETTING
    local ip options="" service=smtpd part name value screen=no
    ip=$(address "$1")
    IFS=';' read -ra parts <<<"$2"
    for part in "${parts[@]}"; do
        part=${part# }
        name=${part%%=*}
        value=${part#*=}
        case $name in
            class | hold) ;;
            screen) screen=yes ;;
            cleanup) options+=" -o cleanup_service_name=cleanup-$value" ;;
            *) options+=" -o { $name = $value }" ;;
        esac
    done
    options+=" -o myhostname=mx$1.dest.test"
    if [ $screen = yes ]; then
        echo "$ip:25 inet n - n - 1 postscreen -o { postscreen_cache_map = btree:\$data_directory/screen$1 } -o smtpd_service_name=screened $options"
    else
        echo "$ip:25 inet n - n - - $service $options"
    fi
}

postfix_class() { # postfix_class CLASS: its domains, for a list in main.cf
    { behaviours postfix; behaviours dovecot; behaviours filters; } | awk -F'\t' -v class="class=$1" '$3 ~ class "(;|$)" { printf "d%s.dest.test ", $1 }'
}

postfix_destination() {
    start_postfix postfix-d 127.0.0.54 <<E
myhostname = mx101.dest.test
mydestination = $(postfix_class local) d960.dest.test
virtual_mailbox_domains = $(postfix_class virtual)
virtual_mailbox_maps = inline:{ {u1@d135.dest.test=x} {u2@d135.dest.test=full} }
virtual_mailbox_base = /var/vmail
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_mailbox_limit = 9000
virtual_alias_domains = $(postfix_class alias)
virtual_alias_maps = inline:{ {u1@d103.dest.test=u1@d101.dest.test} }
relay_domains = $(postfix_class relay) $(postfix_class verify) $(postfix_class lmtp)
relay_recipient_maps = inline:{ {u1@d104.dest.test=x} } regexp:/etc/postfix/verified
transport_maps = regexp:/etc/postfix/transport
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_bind_address = 127.0.2.250
mynetworks = 127.0.2.250/32
notify_classes =
mailbox_size_limit = 9000
message_size_limit = 9000
mailbox_command =
authorized_mailq_users =
address_verify_poll_count = 3
unverified_recipient_reject_reason =
smtpd_milters =
milter_default_action = tempfail
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_peername_lookup = yes
relocated_maps = inline:{ {u8@d108.dest.test=u9@d109.dest.test} }
E
    put "$R/etc/postfix/verified" <<<"/@d(111|112|6..)\.dest\.test/ x"
    put "$R/etc/postfix/transport" <<E
/@d(111|112)\.dest\.test/ smtp:[127.0.3.1]:25
/@d608\.dest\.test/ lmtp:inet:127.0.7.201:24
/@d612\.dest\.test/ lmtp:inet:127.0.7.202:24
/@d6..\.dest\.test/ lmtp:inet:127.0.7.200:24
E
    put "$R/etc/postfix/deny.cidr" <<<"127.0.0.0/8 reject"
    put "$R/etc/postfix/mime" <<<'/name="?[^ ]*\.exe/ REJECT'
    put "$R/etc/postfix/body" <<<'/good week/ REJECT'
    put "$R/etc/aliases" <<E
x67: "|exit 67"
x77: "|exit 77"
x1: "|exit 1"
x9: "|kill -9 \$\$"
x75: "|exit 75"
f1: u7@d101.dest.test
f2: u1@d951.dest.test
f3: u1@d303.dest.test
u1: /dev/null
u2: /dev/null
i1: ":include:/etc/postfix/missing"
p1: u1
e1: u1, u2
m1: u7@d301.dest.test, u7@d401.dest.test
E
    put "$R/etc/policyd-spf.conf" <<E
debugLevel = 0
HELO_reject = False
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
skip_addresses = 192.0.2.0/24
E
    in_root postfix-d newaliases
    in_root postfix-d sh -c 'head -c 8900 /dev/zero | tr "\0" "x" >/var/mail/u3; chown u3 /var/mail/u3
        install -d -o 5000 -g 5000 /var/vmail
        head -c 8900 /dev/zero | tr "\0" x >/var/vmail/full; chown 5000 /var/vmail/full
        mkdir /var/mail/u5
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mx.dest.test -keyout /etc/ssl/k -out /etc/ssl/c 2>/dev/null
        cat /etc/ssl/k /etc/ssl/c >/etc/ssl/lab.pem' || true
    {
        cat <<E
cleanup-mime unix n - n - 0 cleanup -o mime_header_checks=regexp:/etc/postfix/mime
cleanup-body unix n - n - 0 cleanup -o body_checks=regexp:/etc/postfix/body
127.0.2.240:25 inet n - n - - smtpd -o mynetworks=127.0.0.0/8 -o smtpd_peername_lookup=no
cleanup-hops unix n - n - 0 cleanup -o hopcount_limit=6
screened pass - - n - - smtpd
policy-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf /etc/policyd-spf.conf
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
E
        local id user setting
        while IFS=$'\t' read -r id user setting; do
            postfix_listener "$id" "$setting"
        done < <(behaviours postfix; behaviours dovecot; behaviours filters)
    } >"$LAB/master"
    in_lab sh -c "sed -i '/^smtp *inet/d' $R/etc/postfix/master.cf; cat $LAB/master >>$R/etc/postfix/master.cf"
    in_root postfix-d postfix start
}
