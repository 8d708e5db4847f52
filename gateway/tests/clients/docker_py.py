"""docker-py: flows of its models and of its low-level client. DOCKER_HOST says
where. Through the gateway it is given a socket that adds the token."""

import gzip
import io
import os
import tarfile
import threading
import time

import docker
from flows import IMAGE, NAME, REGISTRY, WORK, flow, main, unique

client = docker.from_env(timeout=60)
api = client.api


def tar(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


DOCKERFILE = f"FROM {IMAGE}\nARG WHAT=default\nLABEL {NAME}=1\nRUN echo $WHAT >/what\n"


class running:
    """A container that runs for the length of a block."""

    def __init__(self, command=("sleep", "600"), **more):
        self.container = client.containers.run(IMAGE, list(command), detach=True, name=unique("c"), labels={NAME: "1"}, **more)

    def __enter__(self):
        return self.container

    def __exit__(self, *_):
        self.container.remove(force=True, v=True)


def until(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("did not come about")


@flow
def ping_version_info_df():
    assert client.ping() is True
    assert client.version()["ApiVersion"]
    assert client.info()["OSType"] == "linux"
    assert "Images" in client.df()


@flow
def login():
    told = docker.from_env().login("somebody", "secret", registry=f"http://{REGISTRY}")
    assert "Succeeded" in str(told) or told.get("username") == "somebody", told


@flow
def events():
    start = int(time.time())
    with running():
        pass
    found = client.events(since=start, until=int(time.time()) + 1, filters={"label": NAME, "type": "container"}, decode=True)
    assert "create" in [event["Action"] for event in found]


@flow
def events__followed_and_closed():
    stream = client.events(decode=True, filters={"label": NAME})
    threading.Timer(0.5, lambda: running().__exit__()).start()
    assert next(iter(stream))["Action"] == "create"
    stream.close()


@flow
def images__list_get_history():
    # The library looks each listed image up again: not those that others remove meanwhile.
    assert any(IMAGE in image.tags for image in client.images.list(name=IMAGE))
    assert client.images.list(name=IMAGE, all=True, filters={"dangling": False})
    image = client.images.get(IMAGE)
    assert image.history() and image.attrs["Os"] == "linux"
    assert api.images(quiet=True)


@flow
def images__tag_and_remove():
    assert client.images.get(IMAGE).tag(f"{NAME}/tagged", tag="one", force=True)
    client.images.remove(f"{NAME}/tagged:one", force=False, noprune=False)


@flow
def images__build_of_a_directory():
    folder = os.path.join(WORK, "context")
    os.makedirs(folder, exist_ok=True)
    for name, text in {"Dockerfile": DOCKERFILE + "COPY . /all\n", ".dockerignore": "hidden\n", "shown": "s", "hidden": "h"}.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    image, log = client.images.build(
        path=folder, tag=f"{NAME}/built:1", buildargs={"WHAT": "given"}, labels={"extra": "x"}, nocache=True, rm=True,
        forcerm=True, extra_hosts={"a.test": "10.1.2.3", "b.test": "10.1.2.4"}, shmsize=67108864,
        container_limits={"memory": 268435456, "memswap": 268435456}, cache_from=[IMAGE, f"{NAME}/none"],
    )
    assert any("Successfully built" in str(line) for line in log) and image.labels["extra"] == "x"
    assert client.containers.run(f"{NAME}/built:1", ["sh", "-c", "cat /what; ls /all"], remove=True) == b"given\nDockerfile\nshown\n"
    client.images.remove(f"{NAME}/built:1", force=True)


@flow
def images__build_of_a_dockerfile_alone():
    image, _ = client.images.build(fileobj=io.BytesIO(DOCKERFILE.encode()), tag=f"{NAME}/built:2", rm=True)
    client.images.remove(image.id, force=True)


@flow
def images__build_of_a_gzip_context():
    context = gzip.compress(tar(Dockerfile=DOCKERFILE + "RUN true\n"))
    list(api.build(fileobj=io.BytesIO(context), custom_context=True, encoding="gzip", gzip=False, tag=f"{NAME}/built:3", decode=True))
    client.images.remove(f"{NAME}/built:3", force=True)


@flow
def images__build_of_a_directory_with_gzip():
    list(api.build(path=os.path.join(WORK, "context"), gzip=True, tag=f"{NAME}/built:4", quiet=True, decode=True, target=""))
    client.images.remove(f"{NAME}/built:4", force=True)


@flow
def images__save_and_load():
    client.images.get(IMAGE).tag(f"{NAME}/saved", tag="1")
    data = b"".join(client.images.get(f"{NAME}/saved:1").save(named=f"{NAME}/saved:1"))
    client.images.remove(f"{NAME}/saved:1")
    assert f"{NAME}/saved:1" in client.images.load(data)[0].tags
    client.images.remove(f"{NAME}/saved:1")


@flow
def images__import():
    assert "sha256:" in api.import_image_from_data(tar(file="text"), repository=f"{NAME}/imported", tag="1", changes=["CMD [\"cat\"]", "USER 1"])
    assert api.inspect_image(f"{NAME}/imported:1")["Config"]["User"] == "1"
    client.images.remove(f"{NAME}/imported:1")


@flow
def images__push_pull_and_registry_data():
    name = f"{REGISTRY}/{NAME}/pushed"
    client.images.get(IMAGE).tag(name, tag="1")
    told = list(client.images.push(name, tag="1", auth_config={"username": "somebody", "password": "secret"}, stream=True, decode=True))
    assert not any("error" in line for line in told), told
    told = list(client.images.push(name, tag="1", stream=True, decode=True))
    assert not any("error" in line for line in told), told
    client.images.remove(f"{name}:1")
    assert f"{name}:1" in client.images.pull(name, tag="1").tags
    assert client.images.get_registry_data(f"{name}:1").id.startswith("sha256:")
    assert len(client.images.pull(name, all_tags=True)) == 1
    client.images.remove(f"{name}:1")


@flow
def images__missing():
    try:
        client.images.get(f"{NAME}/none:1")
    except docker.errors.ImageNotFound:
        return
    raise AssertionError("it is there")


@flow
def images__prune_with_a_filter():
    assert client.images.prune(filters={"label": f"{NAME}-none", "dangling": True})["SpaceReclaimed"] == 0


@flow
def containers__run_and_its_output():
    assert client.containers.run(IMAGE, "echo hello", remove=True) == b"hello\n"
    assert client.containers.run(IMAGE, ["sh", "-c", "echo out; echo err >&2"], remove=True, stdout=True, stderr=True, name=unique("run")) in (b"out\nerr\n", b"err\nout\n")


@flow
def containers__run_that_fails():
    try:
        client.containers.run(IMAGE, "sh -c 'echo why >&2; exit 3'", remove=True)
    except docker.errors.ContainerError as error:
        assert error.exit_status == 3 and b"why" in error.stderr
        return
    raise AssertionError("it succeeded")


@flow
def containers__run_with_many_options():
    options = dict(
        environment={"A": "1"}, working_dir="/tmp", user="65534", hostname="hosty", mem_limit="64m", memswap_limit="64m",
        nano_cpus=500000000, pids_limit=50, read_only=True, tmpfs={"/scratch": "size=1m"}, cap_drop=["ALL"],
        security_opt=["no-new-privileges"], init=True, stop_signal="SIGINT", ulimits=[docker.types.Ulimit(name="nofile", soft=99, hard=99)],
        extra_hosts={"added": "10.1.2.3"}, dns=["127.0.0.1"], shm_size="8m", labels=[NAME], ports={"80/tcp": ("127.0.0.1", None)},
        log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}), restart_policy={"Name": "no"},
        healthcheck={"test": ["NONE"]}, oom_score_adj=100, domainname="test", network_mode="bridge",
    )
    told = client.containers.run(IMAGE, ["sh", "-c", "echo $A $(pwd) $(id -u) $(hostname) $(ulimit -n)"], remove=True, **options)
    assert told == b"1 /tmp 65534 hosty 99\n", told


@flow
def containers__list_get_inspect():
    with running() as container:
        assert container in client.containers.list(filters={"label": NAME, "status": "running"})
        assert client.containers.list(all=True, sparse=True, limit=5, ignore_removed=True)
        assert api.containers(quiet=True, trunc=True, size=True, latest=True)
        container.reload()
        assert container.status == "running" and container.ports == {}


@flow
def containers__life():
    with running() as container:
        container.pause()
        container.unpause()
        container.restart(timeout=0)
        container.kill(signal="SIGKILL")
        assert container.wait(timeout=30)["StatusCode"] == 137
        container.start()
        container.stop(timeout=0)
        container.rename(name := unique("renamed"))
        assert client.containers.get(name).id == container.id


@flow
def containers__wait_with_a_condition():
    with running(["sh", "-c", "exit 4"]) as container:
        assert container.wait(condition="not-running")["StatusCode"] == 4


@flow
def containers__update():
    with running() as container:
        container.update(mem_limit="64m", memswap_limit="64m", cpu_shares=512, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
        container.reload()
        assert container.attrs["HostConfig"]["Memory"] == 64 << 20


@flow
def containers__top_stats_diff():
    with running() as container:
        assert container.top(ps_args="aux")["Processes"]
        assert "memory_stats" in container.stats(stream=False)
        stream = container.stats(decode=True)
        assert next(stream)["id"] == container.id
        stream.close()
        container.exec_run("touch /added")
        assert {"Path": "/added", "Kind": 1} in container.diff()


@flow
def containers__logs():
    with running(["sh", "-c", "echo one; echo two >&2; sleep 1; echo three"]) as container:
        assert b"".join(container.logs(stream=True, follow=True)) .count(b"\n") == 3
        assert container.logs(stdout=True, stderr=False, tail=1, timestamps=False) == b"three\n"
        assert container.logs(until=int(time.time()) + 5, since=int(time.time()) - 600).count(b"\n") == 3


@flow
def containers__attach():
    container = client.containers.create(IMAGE, ["sh", "-c", "read x; echo got $x"], stdin_open=True, name=unique("c"))
    stream = container.attach(stdout=True, stderr=True, stream=True, logs=True)
    socket = container.attach_socket(params={"stdin": 1, "stream": 1})
    container.start()
    (socket._sock if hasattr(socket, "_sock") else socket).sendall(b"text\n")
    assert b"".join(stream) == b"got text\n"
    socket.close()
    container.remove(force=True)


@flow
def containers__exec():
    with running() as container:
        assert container.exec_run("echo inside") == (0, b"inside\n")
        code, (out, err) = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 5"], demux=True)
        assert (code, out, err) == (5, b"out\n", b"err\n")
        assert container.exec_run(["sh", "-c", "echo $A $(pwd) $(id -u)"], environment={"A": "1"}, workdir="/tmp", user="65534").output == b"1 /tmp 65534\n"
        assert b"".join(container.exec_run("echo streamed", stream=True).output) == b"streamed\n"
        assert container.exec_run("echo terminal", tty=True).output == b"terminal\r\n"
        assert container.exec_run("touch /detached", detach=True).output in ("", b"")
        until(lambda: container.exec_run("test -e /detached").exit_code == 0)


@flow
def containers__exec_with_a_socket():
    with running() as container:
        made = api.exec_create(container.id, ["sh"], stdin=True, tty=True)
        socket = api.exec_start(made, socket=True, tty=True)
        api.exec_resize(made, height=21, width=77)
        plain = socket._sock if hasattr(socket, "_sock") else socket
        plain.sendall(b"stty size; exit\n")
        shown = b""
        while part := plain.recv(4096):
            shown += part
        assert b"21 77" in shown, shown
        socket.close()
        assert api.exec_inspect(made)["ExitCode"] == 0


@flow
def containers__archive_both_ways():
    with running() as container:
        assert container.put_archive("/tmp", tar(file="in the file"))
        parts, stat = container.get_archive("/tmp/file", encode_stream=True)
        assert stat["name"] == "file" and b"in the file" in b"".join(parts)


@flow
def containers__export_and_commit():
    with running() as container:
        assert len(b"".join(container.export())) > 1000
        image = container.commit(repository=f"{NAME}/committed", tag="1", message="said", author="me", changes=["CMD [\"cat\"]", "EXPOSE 80"], conf={"Env": ["B=2"]})
        assert image.attrs["Config"]["Cmd"] == ["cat"]
        client.images.remove(f"{NAME}/committed:1")


@flow
def containers__volumes():
    name = unique("v")
    for volumes in ({name: {"bind": "/data", "mode": "rw"}}, [f"{name}:/data"]):
        assert client.containers.run(IMAGE, ["sh", "-c", "echo x >>/data/f; wc -l </data/f"], remove=True, volumes=volumes)
    mounts = [docker.types.Mount("/data", name, type="volume", read_only=True)]
    assert client.containers.run(IMAGE, "cat /data/f", remove=True, mounts=mounts) == b"x\nx\n"
    client.volumes.get(name).remove(force=True)


@flow
def containers__prune_with_a_filter():
    container = client.containers.create(IMAGE, "true", labels={f"{NAME}-prune": "1"})
    assert client.containers.prune(filters={"label": f"{NAME}-prune"})["ContainersDeleted"] == [container.id]


@flow
def networks__life():
    network = client.networks.create(unique("net"), driver="bridge", check_duplicate=True, internal=False, labels={NAME: "1"}, attachable=False)
    assert network in client.networks.list(names=[network.name]) and network in client.networks.list(filters={"label": NAME}, greedy=True)
    with running() as container:
        network.connect(container, aliases=["other"])
        network.reload()
        assert container in network.containers
        network.disconnect(container, force=True)
    with running(network=network.name) as container:
        container.reload()
        assert network.name in container.attrs["NetworkSettings"]["Networks"]
    network.remove()


@flow
def networks__prune_with_a_filter():
    network = client.networks.create(unique("net"), labels={f"{NAME}-prune": "1"})
    assert client.networks.prune(filters={"label": f"{NAME}-prune"})["NetworksDeleted"] == [network.name]


@flow
def volumes__life():
    volume = client.volumes.create(name=unique("v"), driver="local", labels={NAME: "1"})
    assert volume in client.volumes.list(filters={"label": NAME})
    assert client.volumes.get(volume.name).attrs["Driver"] == "local"
    volume.remove(force=False)
    anonymous = client.volumes.create()
    anonymous.remove()


@flow
def volumes__prune_with_a_filter():
    volume = client.volumes.create(name=unique("v"), labels={f"{NAME}-prune": "1"})
    assert client.volumes.prune(filters={"label": f"{NAME}-prune"})["VolumesDeleted"] == [volume.name]


main()
