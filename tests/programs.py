"""Runs the workspace's test programs side by side.

    cargo test --workspace --no-run --message-format=json | tests/programs.py LOG

Most of a long program is waiting (a guard's time, a host that restarts), so a
few of them run at once: STOCKADE_TEST_LANES, by default 3. Those of one
package whose tests share the machine's Docker engine run one after the other.
Everything that they print goes to LOG, program by program, and a line for each
to standard output as it ends; the slowest ten parts come last. Ends with 1 when
a program fails.
"""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time

# Started first, so that none of them is what is waited for alone in the end.
LONG = ["faults", "process", "lockout", "ports", "clients", "bypass", "guard", "gateway_host", "hostile", "packages", "contributing"]
# Tests of these packages look at everything that the engine has.
ALONE = {"stockade-gateway"}


class Program:
    """A test program of a package."""

    def __init__(self, message):
        target = message["target"]
        self.path = message["executable"]
        self.root = pathlib.Path(message["manifest_path"]).parent
        # `…/folder#name@version`, or `…/name#version`.
        place, _, name = message["package_id"].partition("#")
        self.package = name.split("@")[0] if "@" in name else pathlib.Path(place).name
        is_unit = "test" not in target["kind"]
        self.name = f"unit tests of {target['kind'][0]}" if is_unit else target["name"]
        self.code, self.seconds, self.output = None, 0.0, b""

    def order(self):
        return LONG.index(self.name) if self.name in LONG else len(LONG)

    def run(self):
        environment = {**os.environ, "CARGO_MANIFEST_DIR": str(self.root), "CARGO_PKG_NAME": self.package}
        began = time.monotonic()
        done = subprocess.run(
            [self.path, "--show-output"],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self.code, self.seconds, self.output = done.returncode, time.monotonic() - began, done.stdout


def programs(lines):
    found = {}
    for line in lines:
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
            program = Program(message)
            found[program.path] = program
    return sorted(found.values(), key=Program.order)


class Queue:
    """Programs that wait for their turn."""

    def __init__(self, waiting):
        self.waiting, self.busy, self.turn = list(waiting), set(), threading.Condition()

    def take(self):
        """The next program that may run now; none when all are taken."""
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


def work(queue, log, writing):
    while program := queue.take():
        program.run()
        queue.done(program)
        word = "ok" if program.code == 0 else "FAILED"
        with writing:
            log.write(f"     Running {program.name} of {program.package}\n".encode() + program.output)
            log.flush()
            print(f"{program.seconds:7.1f} s  {word:6}  {program.package}  {program.name}", flush=True)


def main():
    everything = programs(sys.stdin)
    if not everything:
        sys.exit("no test programs: has the build failed?")
    lanes = int(os.environ.get("STOCKADE_TEST_LANES", "3"))
    queue, writing = Queue(everything), threading.Lock()
    with open(sys.argv[1], "ab") as log:
        threads = [threading.Thread(target=work, args=(queue, log, writing)) for _ in range(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print("\nthe slowest parts:")
    for program in sorted(everything, key=lambda program: -program.seconds)[:10]:
        print(f"{program.seconds:7.1f} s  {program.package}  {program.name}")
    sys.exit(any(program.code != 0 for program in everything))


main()
