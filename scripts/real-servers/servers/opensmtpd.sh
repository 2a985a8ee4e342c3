# Sourced by `run`: OpenSMTPD as sender and, in another root, as receiving server.

opensmtpd_sender() {
    root opensmtpd-s opensmtpd 127.0.0.53
    put "$R/etc/smtpd.conf" <<E
queue ttl 45s
bounce warn-interval 8s
smtp max-message-size 10M
listen on 127.0.1.4 port 25 hostname out4.example.test
action do-out relay src 127.0.1.4 helo out4.example.test
match from any for any action do-out
E
    in_root opensmtpd-s sh -c 'echo out4.example.test >/etc/mailname; (smtpd -d -T smtp >/var/log/smtpd.log 2>&1 &)
        # By itself it tries again after 400 seconds, and only then sees that a message is too old.
        (while sleep 10; do smtpctl schedule all; done >/dev/null 2>&1 &)'
}

opensmtpd_destination() {
    root opensmtpd-d opensmtpd 127.0.0.54
    local id user setting name value part filters="" listeners="" rules="" options
    while IFS=$'\t' read -r id user setting; do
        options="" value=""
        rules+="match tag t$id from any for domain d$id.dest.test"
        local action=mailbox
        while read -r part; do
            value=${part#*=}
            case ${part%%=*} in
                filter)
                    filters+="filter f$id $value"$'\n'
                    options+=" filter f$id" ;;
                listen) options+=" $value" ;;
                action) action=$value ;;
                norelay) rules=${rules%match*} action="" ;;
                reject) rules+=" $value" ;;
            esac
        done < <(sed 's/ ; /\n/g' <<<"$setting")
        case $setting in
            norelay=*) ;;
            reject=*) rules+=" reject"$'\n' ;;
            *) rules+=" action do-$action"$'\n' ;;
        esac
        listeners+="listen on $(address "$id") port 25 hostname mx$id.dest.test tag t$id$options"$'\n'
    done < <(behaviours opensmtpd)
    put "$R/etc/smtpd.conf" <<E
queue ttl 25s
bounce warn-interval 8s
smtp max-message-size 5000
table aliases file:/etc/aliases
table virtuals { "u1@d404.dest.test" = "u1", "u2@d404.dest.test" = "u7@d101.dest.test" }
$filters
$listeners
action do-mailbox mbox alias <aliases>
action do-maildir maildir "/var/no/such/%{user.username}" alias <aliases>
action do-virtual maildir "/tmp/m" virtual <virtuals>
action do-out relay src 127.0.5.250 helo mx401.dest.test
action do-pipe mda "exit 1" alias <aliases>
action do-tempfail mda "exit 75" alias <aliases>
action do-behind relay host lmtp://127.0.7.200:24
$rules
match from local for any action do-out
E
    put "$R/etc/aliases" <<E
f1: u7@d101.dest.test
f2: u1@d951.dest.test
loop1: loop2
loop2: loop1
E
    in_root opensmtpd-d sh -c '(smtpd -d -T smtp >/var/log/smtpd.log 2>&1 &)
        # By itself it tries again after 400 seconds, and only then sees that a message is too old.
        (while sleep 10; do smtpctl schedule all; done >/dev/null 2>&1 &)'
}
