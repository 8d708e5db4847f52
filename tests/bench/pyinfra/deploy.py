"""The benchmark's job for pyinfra, as its documentation writes such deploys."""

from pathlib import Path

from pyinfra import config
from pyinfra.operations import apt, files, server, systemd

config.SUDO = True

JOB = Path(__file__).resolve().parent.parent / "job"
OPERATORS = [f"op{number:02}" for number in range(1, 11)]
APPS = [f"app{number}" for number in range(1, 9)]

server.group(name="group of the operators", group="operators")

for user in OPERATORS:
    server.user(
        name=f"operator {user}",
        user=user,
        shell="/bin/bash",
        groups=["operators"],
        append=True,
        public_keys=[(JOB / "keys" / f"{user}.pub").read_text().strip()],
        delete_keys=True,
    )

apt.packages(name="packages", packages=["beanstalkd", "memcached", "jq", "tree"])

for app in APPS:
    files.directory(
        name=f"directory of {app}", path=f"/etc/bench-{app}", user="root", group="root", mode="750"
    )
    files.put(
        name=f"environment of {app}",
        src=str(JOB / "env" / f"{app}.env"),
        dest=f"/etc/bench-{app}/env",
        user="root",
        group="root",
        mode="640",
    )

dropin = files.put(
    name="drop-in",
    src=str(JOB / "files" / "limits.conf"),
    dest="/etc/systemd/system/beanstalkd.service.d/10-limits.conf",
    user="root",
    group="root",
    mode="644",
)
sshd = files.put(
    name="sshd",
    src=str(JOB / "files" / "sshd.conf"),
    dest="/etc/ssh/sshd_config.d/00-bench.conf",
    user="root",
    group="root",
    mode="644",
)
sysctl = files.put(
    name="sysctl",
    src=str(JOB / "files" / "sysctl.conf"),
    dest="/etc/sysctl.d/60-bench.conf",
    user="root",
    group="root",
    mode="644",
)

for service in ("beanstalkd.service", "memcached.service"):
    systemd.service(name=service, service=service, running=True, enabled=True)

systemd.service(
    name="restart beanstalkd",
    service="beanstalkd.service",
    restarted=True,
    daemon_reload=True,
    _if=dropin.did_change,
)
systemd.service(name="reload sshd", service="ssh.service", reloaded=True, _if=sshd.did_change)
systemd.service(
    name="restart sysctl",
    service="systemd-sysctl.service",
    restarted=True,
    _if=sysctl.did_change,
)
