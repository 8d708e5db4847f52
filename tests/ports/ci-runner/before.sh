mkdir -p /root/site/runner
printf '#!/bin/sh\ncd "$RUNNER_TMP"; echo "$1" >"executor-$1"; exec sleep infinity\n' >/root/site/runner/run
chmod 0755 /root/site/runner/run
tar -C /root/site/runner --owner=0 --group=0 --mtime=@0 -cf - run | gzip -n >/root/site/runner-2.4.0.tar.gz
systemd-run --quiet --unit=site python3 -m http.server 8099 --bind 127.0.0.1 --directory /root/site
echo "runner_sha256=$(sha256sum </root/site/runner-2.4.0.tar.gz | cut -d' ' -f1)"
