id -nG git | grep -qw apps
grep -c 'command="/usr/local/bin/receive sammy"' /home/git/.ssh/authorized_keys
sudo -l -U git | grep -q 'systemctl reload nginx.service'
[ ! -e /etc/nginx/sites-enabled/default ]
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/)" = 410 ]
[ "$(stat -c '%a %U %G' /home/git/apps)" = "2750 git www-data" ]
! logrotate -d /etc/logrotate.d/apps 2>&1 | grep -i error
