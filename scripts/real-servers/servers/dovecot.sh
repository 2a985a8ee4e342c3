# Sourced by `run`: Dovecot. Postfix stands before it: a listener per row of behaviours/dovecot.tsv hands on by LMTP.

dovecot_destination() {
    root dovecot dovecot 127.0.0.54
    put "$R/etc/dovecot/dovecot.conf" <<'E'
protocols = lmtp submission
listen = 127.0.7.200
ssl = no
disable_plaintext_auth = no
log_path = /var/log/dovecot.log
hostname = mx601.dest.test
postmaster_address = postmaster@dest.test
auth_username_format = %n
mail_location = maildir:~/Maildir
mail_plugins = quota
first_valid_uid = 100
passdb {
  driver = passwd-file
  args = username_format=%n /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%n /etc/dovecot/users
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.7.200 127.0.7.201 127.0.7.202
    port = 24
  }
}
service quota-status {
  executable = quota-status -p postfix
  client_limit = 1
  inet_listener {
    address = 127.0.7.200
    port = 12340
  }
}
service submission-login {
  inet_listener submission {
    address = 127.0.7.9
    port = 25
  }
}
submission_relay_host = 127.0.2.240
submission_relay_trusted = yes
protocol lmtp {
  mail_plugins = quota sieve
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=20K
  quota_grace = 0
  quota_status_success = DUNNO
  quota_status_nouser = DUNNO
  quota_status_overquota = "552 5.2.2 Mailbox is full"
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_extensions = +vnd.dovecot.report +vacation-seconds
}
submission_host = 127.0.2.240:25
local 127.0.7.201 {
  protocol lmtp {
    quota_full_tempfail = yes
  }
}
local 127.0.7.202 {
  plugin {
    quota_max_mail_size = 2k
  }
}
E
    local user
    for user in u1 u2 u3 u4 u5 u6 u8; do
        echo "$user:{PLAIN}x:5000:5000::/var/vmail/$user::"
    done | { cat; echo "u9:{PLAIN}x:5000:5000::/no/such/home::"; } | put "$R/etc/dovecot/users"
    in_root dovecot sh -c 'for user in u1 u2 u3 u4 u5 u6 u8; do mkdir -p /var/vmail/$user/Maildir/cur /var/vmail/$user/Maildir/new /var/vmail/$user/Maildir/tmp; done'
    dovecot_sieve u2 <<'E'
require "reject";
reject "I do not take newsletters at this address. Please write to me in person.";
E
    dovecot_sieve u4 <<'E'
require "vacation";
vacation :days 1 :subject "Out of office" :addresses ["u4@d605.dest.test"] "I am on holiday until the 14th and read no mail. In urgent cases ask my colleagues.";
E
    dovecot_sieve u5 <<'E'
require "vnd.dovecot.report";
report "abuse" "User reported this message as spam" "fbl@bounces.example.test";
E
    dovecot_sieve u6 <<'E'
redirect "u7@d301.dest.test";
E
    dovecot_sieve u8 <<'E'
require "vacation";
vacation :days 1 :addresses ["u8@d615.dest.test"] text:
Vielen Dank für Ihre Nachricht. Ich bin bis Ende des Monats nicht im Büro.
.
;
E
    in_root dovecot sh -c 'head -c 20400 /dev/zero | tr "\0" x >"/var/vmail/u3/Maildir/cur/1.x,S=20400:2,S"; chown -R 5000:5000 /var/vmail; dovecot'
}

dovecot_sieve() { in_lab tee "$R/var/vmail/$1/.dovecot.sieve" >/dev/null; } # dovecot_sieve USER
