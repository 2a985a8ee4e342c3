# Sourced by `run`: which servers take part.
SENDERS=(postfix exim sendmail opensmtpd courier haraka chasquid dma)
postfix_harvest
filters_destination
dovecot_destination
qpsmtpd_destination
for server in "${SENDERS[@]}"; do
    "${server}_sender"
    "${server}_destination"
done
