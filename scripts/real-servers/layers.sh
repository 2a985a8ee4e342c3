# Sourced by `run`: what is installed, one layer per set of programs that can live together.
install_layers() {
    layer postfix postfix postfix-pcre postfix-policyd-spf-python
    layer dovecot dovecot-lmtpd dovecot-sieve dovecot-submissiond
    layer exim exim4-daemon-heavy
    layer sendmail sendmail-bin sensible-mda m4 procmail
    layer opensmtpd opensmtpd
    layer courier courier-mta
    layer filters postgrey opendmarc opendkim spamd spamass-milter
    layer chasquid chasquid openssl
    layer dma dma
    layer qpsmtpd qpsmtpd libnet-ip-perl
    layer virus amavisd-new spamassassin clamav-daemon clamav-milter
}
