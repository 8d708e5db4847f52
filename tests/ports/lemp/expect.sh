[ ! -e /etc/nginx/sites-enabled/default ]
nginx -t
curl -fsS -H 'Host: shop.example.net' http://127.0.0.1/ | grep -q 'php works 42'
mariadb -N -e 'SHOW DATABASES' | grep -qx shop
mariadb -N -e "SHOW GRANTS FOR 'shop'@'localhost'" | grep -q 'ON `shop`'
