curl -fsS http://127.0.0.1:8080/index.php | grep -q 'wordpress wordpress 64M'
[ "$(stat -c '%a %U' /srv/wordpress/salts.php /srv/wordpress/wp-config.php | tr '\n' ' ')" = "600 www-data 640 www-data " ]
runuser -u www-data -- mariadb -N -e 'USE wordpress; SELECT 1' | grep -qx 1
systemctl is-enabled wp-cron.timer
