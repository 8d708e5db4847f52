"""Measures stockade against ssh, pyinfra, Ansible and a shell script.

Started by run.sh, which prepares the tools. Hosts are lab hosts; a round trip
of 50 ms comes from delay_proxy.py. Every table row is a median of --runs runs
taken in turn (each round runs all contestants once), so that a busy moment of
the machine does not fall on one of them alone. The Markdown report goes to
standard output, progress to standard error.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

import audits
import safety

HERE = pathlib.Path(__file__).resolve().parent
JOB = HERE / "job"
RESOURCES = 46
RTT_MS = 50


def say(text):
    print(text, file=sys.stderr, flush=True)


class Lab:
    """The lab of this run; its hosts are looked up in the files it writes."""

    def __init__(self, stockade, folder, base):
        self.stockade, self.dir, self.base = stockade, folder, base

    def call(self, *words):
        checked([self.stockade, "lab", *words, "--dir", self.dir])

    def up(self, name, count=1):
        self.call("up", "--name", name, "--count", str(count), "--base", self.base)
        names = [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
        known = json.loads((self.dir / "hosts.json").read_text())["hosts"]
        hosts = [Host(self, each, known[each]) for each in names]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(Host.prepare, hosts))
        return hosts

    def down(self, hosts):
        for host in hosts:
            self.call("down", host.name)


class Host:
    """One lab host, reached on its own port or through the delay."""

    def __init__(self, lab, name, record):
        self.lab, self.name, self.container = lab, name, record["container"]
        self.port, self.user = record["port"], record["user"]
        self.host_keys = record["host_keys"]

    def witness(self, *argv):
        """Runs a command as root by the container engine, not over SSH."""
        return checked(["docker", "exec", self.container, *argv])

    def prepare(self):
        """What all contestants find: package lists, python3, a log that counts."""
        self.witness("sh", "-c", "apt-get -qq update && apt-get -qq -y install python3 python3-apt >/dev/null")
        self.witness(
            "sh",
            "-c",
            "apt-get -qq -y --download-only install beanstalkd memcached jq tree >/dev/null"
            " && echo LogLevel VERBOSE >/etc/ssh/sshd_config.d/01-log.conf"
            " && { systemctl try-reload-or-restart ssh.service || true; }",
        )

    def sessions(self):
        """Connections and sessions in sshd's log so far."""
        log = self.witness("journalctl", "--no-pager", "--output=cat", "-t", "sshd", "-t", "sshd-session")
        return log.count("Accepted publickey for"), log.count("Starting session:")


class Route:
    """How to reach hosts: which port, and the files each tool needs for it."""

    def __init__(self, work, lab, hosts, ports, label):
        self.hosts, self.ports, self.key = hosts, ports, lab.dir / "id_ed25519"
        self.dir = work / label
        self.dir.mkdir()
        self.known_hosts = self.dir / "known_hosts"
        self.known_hosts.write_text(
            "".join(f"[127.0.0.1]:{port} {key}\n" for host, port in zip(hosts, ports) for key in host.host_keys)
        )
        toml = f'[defaults]\nuser = "{hosts[0].user}"\nkey = "{self.key}"\nknown_hosts = "{self.known_hosts}"\n'
        ini, inventory = "[all]\n", "hosts = [\n"
        options = self.ssh_options()
        for host, port in zip(hosts, ports):
            toml += f'\n[hosts.{host.name}]\naddress = "127.0.0.1"\nport = {port}\ngroups = ["lab"]\n'
            ini += f"{host.name} ansible_host=127.0.0.1 ansible_port={port} ansible_user={host.user}"
            ini += f" ansible_ssh_private_key_file={self.key} ansible_ssh_common_args='{' '.join(options)}'\n"
            data = {
                "ssh_hostname": "127.0.0.1",
                "ssh_port": port,
                "ssh_user": host.user,
                "ssh_key": str(self.key),
                "ssh_known_hosts_file": str(self.known_hosts),
                "ssh_strict_host_key_checking": "yes",
            }
            inventory += f"    ({host.name!r}, {data!r}),\n"
        self.inventory = self.write("inventory.toml", toml)
        self.ansible_inventory = self.write("ansible.ini", ini)
        self.pyinfra_inventory = self.write("inventory.py", inventory + "]\n")

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def ssh_options(self):
        return ["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o",
                "GlobalKnownHostsFile=/dev/null", "-o", f"UserKnownHostsFile={self.known_hosts}"]  # fmt: skip

    def ssh(self, *remote):
        host, port = self.hosts[0], self.ports[0]
        options = [*self.ssh_options(), "-o", "ControlMaster=no", "-o", "ControlPath=none"]
        return ["ssh", *options, "-i", str(self.key), "-p", str(port), f"{host.user}@127.0.0.1", *remote]

    def stockade(self, tools, verb, playbook=JOB / "playbook.toml", *more):
        return [tools.stockade, verb, playbook, "-i", self.inventory, *more]

    def pyinfra(self, tools):
        return [tools.venv / "bin/pyinfra", "-y", self.pyinfra_inventory, HERE / "pyinfra/deploy.py"]

    def ansible(self, tools):
        return [tools.venv / "bin/ansible-playbook", "-i", self.ansible_inventory, HERE / "ansible/playbook.yml"]


class Tools:
    def __init__(self, stockade, venv):
        self.stockade, self.venv = stockade, venv


def environment(work):
    """No agent, no caches or settings of the user's: the same for all."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "DOCKER_HOST") if name in os.environ}
    return {
        **kept,
        "HOME": str(work / "home"),
        "ANSIBLE_CONFIG": str(HERE / "ansible/ansible.cfg"),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
    }


ENV = {}


def checked(command, codes=(0,), **options):
    """Runs a command to its end; its output when it went well, else the end."""
    words = [str(word) for word in command]
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV or None, **options)
    if done.returncode not in codes:
        sys.exit(f"{' '.join(words[:4])} … ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def timed(command, **options):
    start = time.monotonic()
    output = checked(command, **options)
    return time.monotonic() - start, output


def medians(runs, contestants):
    """Runs every contestant once a round; the median seconds of each."""
    times = {name: [] for name in contestants}
    for round_number in range(runs):
        for name, command in contestants.items():
            times[name].append(timed(command)[0])
        say(f"  round {round_number + 1}: " + ", ".join(f"{name} {took[-1]:.2f} s" for name, took in times.items()))
    return {name: statistics.median(took) for name, took in times.items()}


@contextlib.contextmanager
def delayed(hosts):
    """The ports at which hosts answer with a round trip of RTT_MS."""
    targets = [str(host.port) for host in hosts]
    command = [sys.executable, HERE / "delay_proxy.py", "--delay-ms", str(RTT_MS / 2), *targets]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            ports = json.loads(proxy.stdout.readline())
            yield [ports[target] for target in targets]
        finally:
            proxy.terminate()


def summary(output):
    """Counts over all hosts of a plan in JSON."""
    plan = json.loads(output)
    steps = sum(len(host["steps"]) for host in plan["hosts"])
    same = sum(host["summary"]["none"] for host in plan["hosts"])
    return steps, same


def must_be_converged(tools, route, playbook=JOB / "playbook.toml", steps=RESOURCES):
    output = json_plan(tools, route, playbook)
    if summary(output) != (steps * len(route.hosts),) * 2:
        sys.exit(f"not converged, or not {steps} resources a host: {summary(output)} of {len(route.hosts)} hosts\n{output[:4000]}")


def json_plan(tools, route, playbook):
    words = [str(word) for word in route.stockade(tools, "plan", playbook, "--format", "json")]
    done = subprocess.run(words, env=ENV, text=True, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"plan ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def ansible_says_unchanged(output):
    recap = output[output.rfind("PLAY RECAP") :]
    return "changed=0 " in recap and "failed=0 " in recap and "unreachable=0 " in recap


def pyinfra_says_unchanged(output):
    """By the line of the totals: Grand total, hosts, success, error, no change."""
    totals = [line.split() for line in output.splitlines() if "Grand total" in line]
    return bool(totals) and totals[-1][3:5] == ["-", "-"] and totals[-1][5] == totals[-1][2]


def memory_peak(command, codes=(0,)):
    """Largest resident set of a process, in MiB, read until it ends."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                # Until exec it is a copy of this interpreter that one would measure.
                if "Name:\tstockade\n" in status:
                    peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))])
            time.sleep(0.001)
    if process.returncode not in codes or peak == 0:
        sys.exit(f"{' '.join(words[:3])} … ended with {process.returncode}, peak {peak}")
    return peak / 1024


def thousand_files(work):
    folder = work / "thousand"
    folder.mkdir()
    text = 'name = "A thousand files"\nhosts = ["lab"]\n\n[[step]]\ndirectory = { path = "/etc/bench-files" }\n'
    for number in range(999):
        text += f'\n[[step]]\nfile = {{ path = "/etc/bench-files/{number:04}.conf", content = "value = {number}\\n" }}\n'
    path = folder / "playbook.toml"
    path.write_text(text)
    return path


def shell_program():
    """job.sh with the files of the job in front."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for folder in ("keys", "env", "files"):
            tar.add(JOB / folder, folder)
    return f"JOB={base64.b64encode(archive.getvalue()).decode()}\n" + (HERE / "job.sh").read_text()


# --- the measurements ------------------------------------------------------


def rivals(tools, lab, work, runs, report):
    """ssh, stockade, pyinfra and Ansible on one converged host."""
    [host] = lab.up("bench-job")
    near = Route(work, lab, [host], [host.port], "near")
    say("converging by stockade; the others must then have nothing to do")
    timed(near.stockade(tools, "apply", JOB / "playbook.toml", "--yes"))
    must_be_converged(tools, near)
    if not ansible_says_unchanged(output := checked(near.ansible(tools))):
        sys.exit(f"Ansible's description of the job differs:\n{output[-4000:]}")
    if not pyinfra_says_unchanged(output := checked(near.pyinfra(tools))):
        sys.exit(f"pyinfra's description of the job differs:\n{output[-4000:]}")
    with delayed([host]) as ports:
        far = Route(work, lab, [host], ports, "far")
        found = {}
        for rtt, route in ((0, near), (RTT_MS, far)):
            say(f"round trip {rtt} ms")
            found[rtt] = medians(
                runs,
                {
                    "ssh": route.ssh("true"),
                    "stockade": route.stockade(tools, "plan"),
                    "pyinfra": route.pyinfra(tools),
                    "Ansible": route.ansible(tools),
                },
            )
        sizes(tools, far, near, host, work, runs, report, found)
    lab.down([host])


def sizes(tools, far, near, host, work, runs, report, found):
    """Session counts, memory, and 1,000 resources against 46, on the same host."""
    zero, delay = found[0], found[RTT_MS]
    rows = [["", "0 ms", f"{RTT_MS} ms"]]
    for name, label in (("ssh", "`ssh host true`"), ("stockade", "`stockade plan`"), ("pyinfra", "pyinfra"), ("Ansible", "Ansible")):
        rows.append([label, f"{zero[name]:.2f} s", f"{delay[name]:.2f} s"])
    report.table(f"The job ({RESOURCES} resources) on a host that has converged, by round trip", rows)
    report.target("plan / `ssh host true` at 50 ms", delay["stockade"] / delay["ssh"], "≤ 1.0", lambda x: x <= 1.0)
    for rtt, times in found.items():
        report.target(f"pyinfra / plan at {rtt} ms", times["pyinfra"] / times["stockade"], "≥ 25", lambda x: x >= 25)
    for rtt, times in found.items():
        report.target(f"Ansible / plan at {rtt} ms", times["Ansible"] / times["stockade"])

    say("sessions and memory")
    large = thousand_files(work)
    counts = []
    for playbook, size in ((JOB / "playbook.toml", RESOURCES), (large, 1000)):
        if size == RESOURCES:
            # Something to do, so that the apply is a real one.
            host.witness("rm", "-r", "/etc/bench-app1", "/etc/systemd/system/beanstalkd.service.d")
        for verb, more in (("plan", []), ("apply", ["--yes"])):
            before = host.sessions()
            peak = memory_peak(near.stockade(tools, verb, playbook, *more))
            after = host.sessions()
            counts.append((verb, size, after[0] - before[0], after[1] - before[1], peak))
        must_be_converged(tools, near, playbook, size)
    rows = [["", "resources", "connections", "sessions", "memory"]]
    for verb, size, connections, sessions, peak in counts:
        rows.append([f"`{verb}`", f"{size:,}", str(connections), str(sessions), f"{peak:.1f} MB"])
    report.table("What sshd logged, and the controller's peak memory", rows)
    for verb, most in (("plan", 1), ("apply", 3)):
        sessions = {count[3] for count in counts if count[0] == verb}
        report.target(f"sessions of {verb}, 46 and 1,000 resources", max(sessions), f"≤ {most}, equal",
                      lambda x, s=sessions, m=most: x <= m and len(s) == 1)  # fmt: skip
    report.target("memory with 46 resources", max(c[4] for c in counts if c[1] == RESOURCES), "< 40 MB", lambda x: x < 40, " MB")

    say("1,000 files against 46 resources")
    took = medians(runs, {"46": far.stockade(tools, "plan"), "1000": far.stockade(tools, "plan", large)})
    report.table("Plan at 50 ms", [["resources", "time"], ["46", f"{took['46']:.2f} s"], ["1,000", f"{took['1000']:.2f} s"]])
    report.target("plan of 1,000 files / of 46 resources", took["1000"] / took["46"], "≤ 2", lambda x: x <= 2)


def first_apply(tools, lab, work, rounds, report):
    """A bare host by stockade and by a hand-written script, hosts in turn."""
    program, took = shell_program(), {"stockade": [], "script": []}
    for number in range(rounds):
        for name in ("stockade", "script") if number % 2 == 0 else ("script", "stockade"):
            [host] = lab.up(f"bench-first-{name}-{number}")
            route = Route(work, lab, [host], [host.port], f"first-{name}-{number}")
            checked(route.ssh("true"))
            if name == "stockade":
                took[name].append(timed(route.stockade(tools, "apply", JOB / "playbook.toml", "--yes"))[0])
            else:
                took[name].append(timed(route.ssh("sudo sh"), stdin=None, input=program)[0])
            say(f"  first apply by {name}: {took[name][-1]:.2f} s")
            # The outside witness for both: the same state came about.
            must_be_converged(tools, route)
            lab.down([host])
    stockade, script = (statistics.median(took[name]) for name in ("stockade", "script"))
    rows = [["", "median", "fastest"]]
    for name, label in (("stockade", "`stockade apply`"), ("script", "shell script over `ssh host sh`")):
        rows.append([label, f"{statistics.median(took[name]):.2f} s", f"{min(took[name]):.2f} s"])
    report.table("First apply on a bare host (package files already fetched for both)", rows)
    report.target("first apply / shell script", stockade / script, "≤ 1.15", lambda x: x <= 1.15)


def fleet(tools, lab, work, runs, count, report):
    """All of a group at once against one host."""
    hosts = lab.up("bench-fleet", count)
    near = Route(work, lab, hosts, [host.port for host in hosts], "fleet-near")
    timed(near.stockade(tools, "apply", JOB / "playbook.toml", "--yes", "--forks", str(count)))
    must_be_converged(tools, near)
    with delayed(hosts) as ports:
        far = Route(work, lab, hosts, ports, "fleet")
        one = Route(work, lab, hosts[:1], ports[:1], "fleet-one")
        took = medians(
            runs,
            {"one": one.stockade(tools, "plan"), "all": far.stockade(tools, "plan", JOB / "playbook.toml", "--forks", str(count))},
        )
    report.table(f"Plan at {RTT_MS} ms", [["hosts", "time"], ["1", f"{took['one']:.2f} s"], [str(count), f"{took['all']:.2f} s"]])
    report.target(f"{count} hosts / one", took["all"] / took["one"], "≤ 6", lambda x: x <= 6)
    lab.down(hosts)


def safe(tools, lab, work, runs, report):
    """Guard and journal (safety.py)."""
    bench = sys.modules[__name__]
    [host] = lab.up("bench-guard")
    host.prepare()
    with delayed([host]) as ports:
        safety.guard(bench, tools, Route(work, lab, [host], ports, "guard"), work, runs, report)
    lab.down([host])
    safety.journal(bench, tools, lab, work, report)


class Report:
    """Tables as they come, targets in one table at the end."""

    def __init__(self):
        self.targets, self.missed = [["figure", "measured", "target", ""]], 0

    def table(self, title, rows):
        print(f"\n**{title}**\n")
        self.rows(rows)

    @staticmethod
    def rows(rows):
        head, *body = rows
        for row in (head, ["---"] * len(head), *body):
            print("| " + " | ".join(row) + " |")
        sys.stdout.flush()

    def target(self, figure, value, wanted="", met=None, unit=""):
        shown = f"{value}{unit}" if isinstance(value, int) else f"{value:.2f}{unit}"
        verdict = "" if met is None else "met" if met(value) else "**missed**"
        self.missed += verdict == "**missed**"
        self.targets.append([figure, shown, wanted, verdict])
        say(f"  {figure}: {shown} {wanted} {verdict}")

    def close(self):
        self.table("Targets", self.targets)


def machine():
    return f"{os.cpu_count()} CPUs, {os.uname().sysname} {os.uname().machine}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stockade", type=pathlib.Path, required=True, help="the release build")
    parser.add_argument("--venv", type=pathlib.Path, required=True, help="where ansible and pyinfra are installed")
    parser.add_argument("--base", default="debootstrap:bookworm", help="base of the lab hosts")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first-runs", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--only", choices=["rivals", "first", "fleet", "safety", "audit"], action="append")
    args = parser.parse_args()
    parts = args.only or ["rivals", "first", "fleet", "safety", "audit"]
    with tempfile.TemporaryDirectory(prefix="stockade-bench-") as folder:
        work = pathlib.Path(folder)
        (work / "home").mkdir()
        ENV.update(environment(work))
        tools = Tools(args.stockade.resolve(), args.venv.resolve())
        lab = Lab(tools.stockade, work / "lab", args.base)
        report = Report()
        try:
            print(f"{machine()}; lab hosts from {args.base}; medians of {args.runs} runs")
            if "rivals" in parts:
                rivals(tools, lab, work, args.runs, report)
            if "first" in parts:
                first_apply(tools, lab, work, args.first_runs, report)
            if "fleet" in parts:
                fleet(tools, lab, work, args.runs, args.hosts, report)
            if "safety" in parts:
                safe(tools, lab, work, args.runs, report)
            if "audit" in parts:
                audits.audits(sys.modules[__name__], tools, lab, work, args.runs, report)
            report.close()
        finally:
            down = [tools.stockade, "lab", "down", "--all", "--dir", work / "lab"]
            subprocess.run(down, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            shutil.rmtree(work / "home", ignore_errors=True)
    sys.exit(1 if report.missed else 0)


if __name__ == "__main__":
    main()
