"""Runs the workspace's tests side by side.

    cargo test --workspace --no-run --message-format=json | tests/programs.py [--fast] LOG

Most of a long part is waiting (a guard's time, a host that restarts), so a few
parts run at once: STOCKADE_TEST_LANES, by default 3. A part is a test program,
or a module of the programs in MODULES. Those of one package whose tests share
the machine's Docker engine run one after the other. Ignored tests run too,
except with --fast and for those that need what is not there (LEFT_OUT).
Everything that they print goes to LOG, part by part, and a line for each to
standard output as it ends; the slowest ten parts come last. Ends with 1 when
a part fails.

Where no more than AGAIN tests fail, each is run a second time, alone, when the
others have ended. One that passes then is no failure, but it is named in the
log (`flaky: NAME`), with what it said the first time.
"""

import argparse
import copy
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

# Started first, so that none of them is what is waited for alone in the end.
LONG = ["faults", "process", "harden_server", "lockout", "ports", "clients", "bypass", "guard", "gateway_host", "hostile", "packages", "contributing", "harden_docker", "harden_host", "examples", "docker"]
# Tests of these packages look at everything that the engine has.
ALONE = {"stockade-gateway"}
# Programs of which each module is a part of its own.
MODULES = {"integration", "gateway"}
# Tests that not every machine can run: what they need, whether it is there, their names.
LEFT_OUT = [
    (
        "root",
        os.geteuid() == 0,
        [
            "transport::",
            "ops::what_the_host_does_is_what_the_rows_say",
            "reboot::this_machine_is_never_rebooted_from_within",
            "apply::an_image_is_built_in_a_chroot_of_this_machine",
            "lockout::in_a_chroot_a_guard_ends_either_way_and_leaves_no_process",
            "refusals::an_immutable_file_is_refused_with_what_to_do",
        ],
    ),
    ("chromium", shutil.which("chromium") is not None, ["audit_html::"]),
    (
        "golang-github-docker-docker-dev and python3-yaml of Debian 12",
        os.path.exists("/usr/share/gocode/src/github.com/docker/docker/api/swagger.yaml")
        and all(importlib.util.find_spec(module) for module in ("tomllib", "yaml")),
        ["engine_api::the_description_of_debians_package_holds_nothing_else"],
    ),
]
# More failures than this are a fault, not a busy machine.
AGAIN = 2


def share(everything):
    """The entries of this run, as support/sample.rs chooses them: as many of a hundred as
    STOCKADE_SAMPLE says. Of each module's ignored tests such a share is run; tables of a
    single test take theirs themselves."""
    percent = os.environ.get("STOCKADE_SAMPLE")
    if percent is None:
        return everything
    shift = int(os.environ.get("STOCKADE_SEED", "0")) % 100
    chosen = [
        entry
        for at, entry in enumerate(everything, shift)
        if at * int(percent) // 100 < (at + 1) * int(percent) // 100
    ]
    return chosen or everything[shift % len(everything) :][:1]


class Part:
    """A test program of a package, or one module of it."""

    def __init__(self, message):
        target = message["target"]
        self.path = message["executable"]
        self.root = pathlib.Path(message["manifest_path"]).parent
        # `…/folder#name@version`, or `…/name#version`.
        place, _, name = message["package_id"].partition("#")
        self.package = name.split("@")[0] if "@" in name else pathlib.Path(place).name
        is_unit = "test" not in target["kind"]
        self.name = f"unit tests of {target['kind'][0]}" if is_unit else target["name"]
        # None: all of the program.
        self.tests = None
        # How many tests a sample leaves out.
        self.skipped = 0
        self.code, self.seconds, self.output = None, 0.0, b""

    def modules(self):
        """A part for each module of this program; it alone where it is not one of MODULES."""
        if self.name not in MODULES:
            return [self]
        left_out = tuple(name for _, there, names in LEFT_OUT if not there for name in names)
        by_module = {}
        for name in self.listed():
            if not name.startswith(left_out):
                by_module.setdefault(name.partition("::")[0], []).append(name)
        ignored = set(self.listed("--ignored"))
        parts = []
        for module, tests in by_module.items():
            part = copy.copy(self)
            long = [name for name in tests if name in ignored]
            if long:
                chosen = share(long)
                part.skipped = len(long) - len(chosen)
                tests = [name for name in tests if name not in ignored or name in chosen]
            part.name, part.tests = module, tests
            parts.append(part)
        return parts

    def listed(self, *options):
        command = [self.path, "--list", "--format", "terse", *options]
        lines = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        return [line.removesuffix(": test") for line in lines if line.endswith(": test")]

    def order(self):
        return LONG.index(self.name) if self.name in LONG else len(LONG)

    def failed(self):
        """The names of the tests that failed; none where the program ended before it could tell."""
        said = self.output.decode(errors="replace")
        return re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED$", said, re.MULTILINE)

    def run(self, fast):
        words = [] if self.tests is None else ["--exact", *self.tests]
        began = time.monotonic()
        done = self.execute(fast, *words, "--show-output")
        self.code, self.seconds, self.output = done.returncode, time.monotonic() - began, done.stdout

    def execute(self, fast, *arguments):
        ignored = [] if fast else ["--include-ignored"]
        environment = {**os.environ, "CARGO_MANIFEST_DIR": str(self.root), "CARGO_PKG_NAME": self.package}
        return subprocess.run(
            [self.path, *ignored, *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )


def parts(lines):
    found = {}
    for line in lines:
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
            part = Part(message)
            found[part.path] = part
    return sorted((part for program in found.values() for part in program.modules()), key=Part.order)


class Queue:
    """Parts that wait for their turn."""

    def __init__(self, waiting):
        self.waiting, self.busy, self.turn = list(waiting), set(), threading.Condition()

    def take(self):
        """The next part that may run now; none when all are taken."""
        with self.turn:
            while self.waiting:
                for program in self.waiting:
                    if program.package not in self.busy:
                        self.waiting.remove(program)
                        if program.package in ALONE:
                            self.busy.add(program.package)
                        return program
                self.turn.wait()
            return None

    def done(self, program):
        with self.turn:
            self.busy.discard(program.package)
            self.turn.notify_all()


def work(queue, log, writing, fast):
    while program := queue.take():
        program.run(fast)
        queue.done(program)
        word = "ok" if program.code == 0 else "FAILED"
        with writing:
            log.write(f"     Running {program.name} of {program.package}\n".encode() + program.output)
            log.flush()
            print(f"{program.seconds:7.1f} s  {word:6}  {program.package}  {program.name}", flush=True)


def again(everything, log, fast):
    """Runs the tests that failed alone, unless they are too many; what each did is told in the log."""
    failed = [part for part in everything if part.code != 0]
    if not all(part.failed() for part in failed) or sum(len(part.failed()) for part in failed) > AGAIN:
        return
    for part in failed:
        passed = True
        for name in part.failed():
            done = part.execute(fast, "--exact", name, "--show-output")
            flaky = done.returncode == 0 and re.search(rb"^test result: ok\. 1 passed;", done.stdout, re.MULTILINE)
            passed = passed and bool(flaky)
            # Its own result line would be counted a second time.
            said = re.sub(rb"^test result:", b"the second result:", done.stdout, flags=re.MULTILINE)
            log.write(f"     Again {name} of {part.name}\n".encode() + said)
            log.write(f"{'flaky' if flaky else 'failed twice'}: {name} ({part.package}, {part.name})\n".encode())
        part.code = 0 if passed else part.code


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--fast", action="store_true", help="leave out what is marked ignored")
    options.add_argument("log")
    options = options.parse_args()
    everything = parts(sys.stdin)
    if not everything:
        sys.exit("no test programs: has the build failed?")
    lanes = int(os.environ.get("STOCKADE_TEST_LANES", "3"))
    queue, writing = Queue(everything), threading.Lock()
    with open(options.log, "ab") as log:
        threads = [threading.Thread(target=work, args=(queue, log, writing, options.fast)) for _ in range(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again(everything, log, options.fast)
    print("\nthe slowest parts:")
    for part in sorted(everything, key=lambda part: -part.seconds)[:10]:
        print(f"{part.seconds:7.1f} s  {part.package}  {part.name}")
    sampled = [part for part in everything if part.skipped]
    if sampled and not options.fast:
        of_each = ", ".join(f"{part.name} {len(part.tests)} of {len(part.tests) + part.skipped}" for part in sampled)
        settings = " ".join(f"{name}={os.environ.get(name, '0')}" for name in ("STOCKADE_SAMPLE", "STOCKADE_SEED"))
        print(f"\na sample of the tests ({settings}; tests/run.sh alone runs all): {of_each}")
    for need, there, names in LEFT_OUT:
        if not there:
            print(f"left out, because they need {need}: {', '.join(names)}")
    sys.exit(any(part.code != 0 for part in everything))


main()
