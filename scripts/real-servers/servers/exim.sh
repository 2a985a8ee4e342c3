# Sourced by `run`: Exim as sender, and one Exim per row of behaviours/exim.tsv as receiving server.

exim_sender() {
    root exim-s exim 127.0.0.53
    put "$R/etc/exim4/exim4.conf" <<E
primary_hostname = out2.example.test
local_interfaces = 127.0.1.2
daemon_smtp_ports = 25
tls_advertise_hosts =
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
hostlist relay_from_hosts = 127.0.0.0/8
delay_warning = 8s
acl_smtp_rcpt = accept
acl_smtp_data = accept
log_file_path = /var/log/exim4/%slog
keep_environment =
qualify_domain = out2.example.test
begin routers
outside:
  driver = dnslookup
  domains = ! out2.example.test
  transport = remote_smtp
  self = fail
  no_more
begin transports
remote_smtp:
  driver = smtp
  interface = 127.0.1.2
  hosts_avoid_tls = *
  connect_timeout = 5s
  command_timeout = 6s
  final_timeout = 6s
begin retry
* * F,40s,5s
E
    in_root exim-s exim4 -bd -q5s
}

exim_config() { # exim_config ID USER SETTING
    local id=$1 user=$2 part name value main="" rcpt="" mail="" data="" transport="" router="" redirect="" domains="d$1.dest.test"
    while read -r part; do
        name=${part%%=*}
        value=${part#*=}
        case $name in
            main) main+="$value"$'\n' ;;
            rcpt) rcpt+="  $value"$'\n' ;;
            mail) mail+="  $value"$'\n' ;;
            data) data+="  $value"$'\n' ;;
            'rcpt+') rcpt+="    $value"$'\n' ;;
            'data+') data+="    $value"$'\n' ;;
            transport) transport+="  $value"$'\n' ;;
            router) router="  $value"$'\n' ;;
            redirect) redirect=$value ;;
            domain) domains=$value ;;
        esac
    done < <(sed 's/ ; /\n/g' <<<"$3")
    [ "$id" != 201 ] || domains="d201.dest.test : d111.dest.test : d112.dest.test : d202.dest.test"
    cat <<E
primary_hostname = mx$id.dest.test
local_interfaces = $(address "$id")
daemon_smtp_ports = 25
spool_directory = /var/spool/exim4/$id
pid_file_path = /run/exim$id.pid
tls_advertise_hosts =
domainlist local_domains = $domains
domainlist relay_to_domains = $([ "$domains" = callout ] && echo "d$id.dest.test")
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
log_file_path = /var/log/exim4/%slog
keep_environment =
ignore_bounce_errors_after = 1m
$main
begin acl
acl_mail:
$mail
  accept
acl_rcpt:
$rcpt
  require message = relay not permitted
    domains = +local_domains : +relay_to_domains
  require verify = recipient
  accept
acl_data:
$data
  accept
begin routers
behind:
  driver = manualroute
  domains = +relay_to_domains
  route_data = 127.0.3.1
  transport = remote_smtp
  no_more
outside:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote_smtp
  no_more
redirected:
  driver = redirect
  local_parts = $([ -n "$redirect" ] && echo "$user")
  data = $redirect
  allow_fail
  allow_defer
  file_transport = to_file
  pipe_transport = to_pipe
people:
  driver = accept
  check_local_user
  transport = to_mailbox
$router
begin transports
remote_smtp:
  driver = smtp
  interface = 127.0.3.250
  hosts_avoid_tls = *
to_mailbox:
  driver = appendfile
  file = /var/mail/\$local_part_data
  group = mail
  mode = 0660
  delivery_date_add
  envelope_to_add
$transport
to_pipe:
  driver = pipe
  return_output
  user = u1
to_file:
  driver = appendfile
  user = u1
begin retry
* quota
* * F,25s,5s
E
}

exim_destination() {
    root exim-d exim 127.0.0.54
    in_root exim-d sh -c 'head -c 5000 /dev/zero | tr "\0" x >/var/mail/u3; chown u3:mail /var/mail/u3; chmod 660 /var/mail/u3'
    put "$R/etc/exim4/exim4.conf" </dev/null
    local id user setting
    while IFS=$'\t' read -r id user setting; do
        exim_config "$id" "$user" "$setting" | put "$R/etc/exim4/$id.conf"
        # Each sees its file in the usual place: with -C, Exim trusts 32 files at most.
        in_lab unshare -m sh -c "mount --bind $R/etc/exim4/$id.conf $R/etc/exim4/exim4.conf
            exec chroot $R /usr/sbin/exim4 -bd -q5s" || echo "Exim does not start as $id" >&2
    done < <(behaviours exim)
}
