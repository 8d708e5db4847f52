# A site that serves the archive, as wordpress.org would.
mkdir -p /root/site/wordpress
printf "<?php echo 'wordpress ', DB_NAME, ' ', ini_get('upload_max_filesize');\n" >/root/site/wordpress/wp-settings.php
printf "<?php require __DIR__ . '/wp-config.php';\n" >/root/site/wordpress/index.php
printf "<?php\n" >/root/site/wordpress/wp-cron.php
tar -C /root/site --owner=0 --group=0 --mtime=@0 --sort=name -cf - wordpress | gzip -n >/root/site/wordpress.tar.gz
systemd-run --quiet --unit=site python3 -m http.server 8099 --bind 127.0.0.1 --directory /root/site
echo "archive_sha256=$(sha256sum </root/site/wordpress.tar.gz | cut -d' ' -f1)"
