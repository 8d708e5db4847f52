[ "$(postconf -h relayhost)" = '[smtp.example.net]:587' ]
[ "$(postconf -h inet_interfaces)" = loopback-only ]
[ "$(postmap -q '[smtp.example.net]:587' hash:/etc/postfix/sasl_passwd)" = user:secret ]
[ "$(postalias -q root hash:/etc/aliases)" = ops@example.net ]
[ "$(stat -c %a /etc/postfix/sasl_passwd)" = 600 ]
postfix status
