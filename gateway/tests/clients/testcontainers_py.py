"""testcontainers for Python, as its documentation says it is used where the
reaper (Ryuk) may not have Docker's socket: TESTCONTAINERS_RYUK_DISABLED=true."""

import os
import warnings

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
warnings.simplefilter("ignore", DeprecationWarning)

import docker
from flows import IMAGE, NAME, WORK, flow, main, unique
from testcontainers.core.container import DockerContainer
from testcontainers.core.image import DockerImage
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs

client = docker.from_env()


def container(command):
    return DockerContainer(IMAGE).with_command(command).with_name(unique("c"))


@flow
def a_container_is_started_and_removed():
    with container("sleep 600") as started:
        assert started.get_wrapped_container().status in ("created", "running")
        id = started.get_wrapped_container().id
    assert not client.containers.list(all=True, filters={"id": id})


@flow
def logs_are_waited_for():
    with container(["sh", "-c", "sleep 0.3; echo it is ready; sleep 600"]) as started:
        wait_for_logs(started, "it is ready", timeout=30)
        out, _ = started.get_logs()
        assert b"it is ready" in out


@flow
def a_command_is_executed():
    with container("sleep 600") as started:
        assert started.exec("echo inside") == (0, b"inside\n")
        assert started.exec(["sh", "-c", "exit 3"]).exit_code == 3


@flow
def environment_and_options():
    made = container(["sh", "-c", "echo A=$A $(pwd); sleep 600"]).with_env("A", "1").with_kwargs(working_dir="/tmp", mem_limit="64m")
    with made as started:
        wait_for_logs(started, "A=1 /tmp", timeout=30)


@flow
def a_port_is_published():
    with container(["sh", "-c", "while :; do echo hi | nc -l -p 80; done"]).with_exposed_ports(80) as started:
        assert int(started.get_exposed_port(80)) > 0
        assert started.get_container_host_ip()


@flow
def a_volume_is_mounted():
    name = unique("v")
    with container("sleep 600").with_volume_mapping(name, "/data", "rw") as started:
        assert started.exec("touch /data/f").exit_code == 0
    client.volumes.get(name).remove()


@flow
def two_containers_share_a_network():
    with Network(docker_network_kw={"labels": {NAME: "1"}}) as network:
        with container("sleep 600").with_network(network).with_network_aliases("one"):
            with container("sleep 600").with_network(network) as second:
                assert second.exec("nslookup one").exit_code == 0


@flow
def an_image_is_built():
    folder = os.path.join(WORK, "image")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "Dockerfile"), "w") as file:
        file.write(f"FROM {IMAGE}\nCMD [\"sh\", \"-c\", \"echo built; sleep 600\"]\n")
    with DockerImage(path=folder, tag=f"{NAME}/tested:1") as image:
        with DockerContainer(str(image)).with_name(unique("c")) as started:
            wait_for_logs(started, "built", timeout=30)


@flow
def a_restart_of_what_it_wraps():
    with container("sleep 600") as started:
        wrapped = started.get_wrapped_container()
        wrapped.restart(timeout=0)
        wrapped.reload()
        assert wrapped.status == "running"
        wrapped.stop(timeout=0)


main()
