"""docker-compose 1.29 (the one in Python, which speaks the Engine API itself):
the commands of a project's life, each with what must come of it."""

import os
import subprocess
import textwrap

from flows import IMAGE, NAME, REGISTRY, WORK, flow, main

COMPOSE = os.path.join(os.environ["CLIENTS"], "compose", "bin", "docker-compose")
FILE = f"""
    version: "3.8"
    services:
      web:
        build:
          context: .
          args: {{ WHAT: given }}
          labels: {{ {NAME}: "1" }}
        image: {REGISTRY}/{NAME}/web:1
        command: ["sh", "-c", "cat /what; touch /data/f; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
        environment: [A=1]
        ports: ["127.0.0.1::80"]
        volumes: ["data:/data", "/anonymous"]
        networks: {{ front: {{ aliases: [www] }} }}
        depends_on: [db]
        restart: on-failure
        healthcheck: {{ test: ["CMD", "true"], interval: 1s }}
        ulimits: {{ nofile: 512 }}
        logging: {{ driver: json-file, options: {{ max-size: 1m }} }}
        extra_hosts: ["added:10.1.2.3"]
      db:
        image: {IMAGE}
        command: ["sh", "-c", "echo db; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
        networks: [front, default]
        labels: {{ kind: db }}
        stop_grace_period: 2s
    networks: {{ front: {{ labels: {{ {NAME}: "1" }} }} }}
    volumes: {{ data: {{}} }}
"""
with open(os.path.join(WORK, "docker-compose.yml"), "w") as file:
    file.write(textwrap.dedent(FILE))
with open(os.path.join(WORK, "Dockerfile"), "w") as file:
    file.write(f"FROM {IMAGE}\nARG WHAT=default\nRUN echo $WHAT >/what\n")


# Compose itself is to speak the API, not the docker program it would call.
ENVIRONMENT = {
    **os.environ,
    "COMPOSE_DOCKER_CLI_BUILD": "0",
    "COMPOSE_INTERACTIVE_NO_CLI": "1",
    "COMPOSE_API_VERSION": "auto",
    "DOCKER_BUILDKIT": "0",
}


def compose(*words, code=0):
    """What one command of compose prints; it must end with `code`."""
    run = subprocess.run(
        [COMPOSE, "-p", NAME, *words], cwd=WORK, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=80, env=ENVIRONMENT,
    )
    assert run.returncode == code, f"{' '.join(words)} ended with {run.returncode}: {run.stdout[-600:]}"
    return run.stdout


@flow
def config():
    assert "services:" in compose("config")


@flow
def build():
    assert "Successfully tagged" in compose("build", "--no-cache", "--force-rm", "--build-arg", "OTHER=1")


@flow
def build_from_the_cache():
    assert "Successfully tagged" in compose("build", "--compress", "web")


@flow
def up():
    told = compose("up", "-d")
    assert "done" in told, told


@flow
def ps():
    assert compose("ps", "-q").count("\n") == 2
    assert "web" in compose("ps", "--services")


@flow
def logs():
    told = compose("logs", "--no-color", "--tail", "10", "-t")
    assert "given" in told and "db" in told, told


@flow
def exec():
    assert "1" in compose("exec", "-T", "web", "sh", "-c", "echo $A")
    compose("exec", "-T", "web", "sh", "-c", "exit 4", code=4)


@flow
def port_top_images():
    assert "127.0.0.1:" in compose("port", "web", "80")
    assert "sleep" in compose("top", "db")
    assert "web" in compose("images")


@flow
def run():
    # Compose follows the output of what has already started: it may miss the first.
    assert "once" in compose("run", "--rm", "-T", "--no-deps", "db", "sh", "-c", "sleep 1; echo once; sleep 1")
    compose("run", "--rm", "-T", "--no-deps", "db", "sh", "-c", "exit 3", code=3)
    assert "1" in compose("run", "--rm", "-T", "-e", "B=2", "-v", f"{NAME}-run:/x", "web", "sh", "-c", "sleep 1; echo $A $B; sleep 1")


@flow
def names_are_resolved_between_services():
    compose("exec", "-T", "web", "nslookup", "db")
    compose("exec", "-T", "db", "nslookup", "www")


@flow
def scale():
    compose("up", "-d", "--scale", "db=2", "--no-recreate")
    assert compose("ps", "-q", "db").count("\n") == 2
    compose("up", "-d", "--scale", "db=1")


@flow
def pause_and_unpause():
    compose("pause", "db")
    compose("unpause", "db")


@flow
def restart_stop_start_kill():
    compose("restart", "-t", "1", "web")
    compose("stop", "-t", "1", "web")
    compose("start", "web")
    compose("kill", "-s", "SIGKILL", "web")


@flow
def up_again_recreates_what_changed():
    told = compose("up", "-d", "--force-recreate", "--renew-anon-volumes", "web")
    assert "done" in told, told
    assert "up-to-date" in compose("up", "-d"), "nothing changed"


@flow
def up_attached():
    path = os.path.join(WORK, "docker-compose.yml")
    with open(path) as file:
        text = file.read()
    once = f"\n  once:\n    image: {IMAGE}\n    command: [sh, -c, 'echo once said; exit 6']\nnetworks:"
    with open(path, "w") as file:
        file.write(text.replace("\nnetworks:", once, 1))
    told = compose("up", "--no-color", "--abort-on-container-exit", "--exit-code-from", "once", code=6)
    assert "once said" in told, told


@flow
def push_and_pull():
    assert "error" not in compose("push", "web").lower()
    compose("pull", "web")


@flow
def rm():
    compose("rm", "-f", "-s", "-v", "once")


@flow
def down():
    compose("down", "-v", "--remove-orphans", "--rmi", "local", "-t", "1")
    assert compose("ps", "-q") == ""


main()
