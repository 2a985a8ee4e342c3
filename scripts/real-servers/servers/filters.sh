# Sourced by `run`: greylisting, milters and scanners. Postfix stands before them: see behaviours/filters.tsv.

filters_destination() {
    root filters filters 127.0.0.54
    put "$R/etc/opendmarc.conf" <<E
AuthservID mx803.dest.test
Socket inet:8893@127.0.9.200
RejectFailures true
SPFIgnoreResults true
Syslog true
IgnoreAuthenticatedClients false
PidFile /run/opendmarc.pid
UMask 002
IgnoreHosts /etc/nobody
E
    put "$R/etc/opendkim.conf" <<E
Mode v
Socket inet:8891@127.0.9.200
On-BadSignature reject
On-KeyNotFound reject
On-SignatureError reject
ResolverConfiguration /etc/unbound.conf
PeerList /etc/nobody
InternalHosts /etc/nobody
ExternalIgnoreList /etc/nobody
UserID opendkim
E
    # Its resolver would neither ask a server on the loopback nor about .test.
    put "$R/etc/unbound.conf" <<E
server:
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "iterator"
forward-zone:
  name: "."
  forward-addr: 127.0.0.54
E
    in_root filters sh -c 'echo 192.0.2.99 >/etc/nobody; mkdir -p /run/spamd
        opendmarc -c /etc/opendmarc.conf
        opendkim -x /etc/opendkim.conf
        postgrey --daemonize --inet=127.0.9.200:10023 --delay=86400 --hostname=mx801.dest.test
        spamd -d -L -m 1 --min-children=1 -i 127.0.9.200 -p 783 -A 127.0.0.0/8 -u debian-spamd -r /run/spamd.pid
        spamass-milter -f -p inet:8895@127.0.9.200 -r 5 -i 192.0.2.0/24 -P /run/sm.pid -- -d 127.0.9.200 -p 783' >"$LAB/logs/filters-start.log" 2>&1 || true

    root virus virus 127.0.0.54
    put "$R/etc/clamav/clamd.conf" <<E
TCPSocket 3310
TCPAddr 127.0.9.200
DatabaseDirectory /var/lib/lab
User clamav
Foreground false
PidFile /run/clamd.pid
E
    put "$R/etc/clamav/clamav-milter.conf" <<E
MilterSocket inet:8896@127.0.9.200
ClamdSocket tcp:127.0.9.200:3310
OnInfected Reject
RejectMsg Message infected: %v
User clamav
PidFile /tmp/cm.pid
E
    # The test file that every scanner knows, as a signature of our own: no database is downloaded.
    put "$R/var/lib/lab.ndb" <<<"Eicar-Test-Signature:0:*:$(printf 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE' | od -An -tx1 | tr -d ' \n')"
    put "$R/etc/amavis/conf.d/50-user" <<'E'
use strict;
$inet_socket_bind = '127.0.9.201';
$inet_socket_port = [10024];
@inet_acl = ('127.0.0.0/8');
$forward_method = 'smtp:[127.0.9.99]:25';
$notify_method = $forward_method;
$myhostname = 'mx808.dest.test';
$mydomain = 'dest.test';
@local_domains_maps = (1);
$final_virus_destiny = D_REJECT;
$final_banned_destiny = D_REJECT;
$final_spam_destiny = D_REJECT;
$final_bad_header_destiny = D_REJECT;
$virus_admin = undef; $spam_admin = undef; $banned_admin = undef;
$sa_local_tests_only = 1;
@bypass_virus_checks_maps = (0);
@bypass_spam_checks_maps = (0);
@av_scanners = (['ClamAV', \&ask_daemon, ["CONTSCAN {}\n", "127.0.9.200:3310"], qr/\bOK$/m, qr/\bFOUND$/m, qr/^.*?: (?!Infected Archive)(.*) FOUND$/m]);
@av_scanners_backup = ();
$QUARANTINEDIR = undef;
$virus_quarantine_method = $spam_quarantine_method = $banned_files_quarantine_method = $bad_header_quarantine_method = undef;
$max_servers = 2;
$enable_db = 0;
$daemonize = 1;
1;
E
    in_root virus sh -c 'mkdir -p /var/lib/lab /run/clamav; mv /var/lib/lab.ndb /var/lib/lab/; chown -R clamav /var/lib/lab
        usermod -a -G amavis clamav
        clamd -c /etc/clamav/clamd.conf
        clamav-milter -c /etc/clamav/clamav-milter.conf
        amavisd start' >"$LAB/logs/virus-start.log" 2>&1 || true
}
