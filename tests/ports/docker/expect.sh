id -nG deploy | grep -qw docker
docker version --format '{{.Server.Version}}'
[ "$(docker info --format '{{.LoggingDriver}}')" = json-file ]
systemctl is-enabled docker.service
systemctl is-active docker-prune.timer
[ "$(stat -c '%a %U %G' /srv/compose/app)" = "2775 deploy docker" ]
