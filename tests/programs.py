"""Runs the workspace's test programs side by side.

    cargo test --workspace --no-run --message-format=json | tests/programs.py LOG

Most of a long program is waiting (a guard's time, a host that restarts), so a
few of them run at once: STOCKADE_TEST_LANES, by default 3. Those of one
package whose tests share the machine's Docker engine run one after the other.
Everything that they print goes to LOG, program by program, and a line for each
to standard output as it ends; the slowest ten parts come last. Ends with 1 when
a program fails.

Where no more than AGAIN tests fail, each is run a second time, alone, when the
others have ended. One that passes then is no failure, but it is named in the
log (`flaky: NAME`), with what it said the first time.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

# Started first, so that none of them is what is waited for alone in the end.
LONG = ["faults", "process", "lockout", "ports", "clients", "bypass", "guard", "gateway_host", "hostile", "packages", "contributing"]
# Tests of these packages look at everything that the engine has.
ALONE = {"stockade-gateway"}
# More failures than this are a fault, not a busy machine.
AGAIN = 2


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

    def failed(self):
        """The names of the tests that failed; none where the program ended before it could tell."""
        return re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED$", self.output.decode(errors="replace"), re.MULTILINE)

    def run(self):
        began = time.monotonic()
        done = self.execute("--show-output")
        self.code, self.seconds, self.output = done.returncode, time.monotonic() - began, done.stdout

    def execute(self, *arguments):
        environment = {**os.environ, "CARGO_MANIFEST_DIR": str(self.root), "CARGO_PKG_NAME": self.package}
        return subprocess.run(
            [self.path, *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )


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


def again(everything, log):
    """Runs the tests that failed alone, unless they are too many; what each did is told in the log."""
    failed = [program for program in everything if program.code != 0]
    if not all(program.failed() for program in failed) or sum(len(program.failed()) for program in failed) > AGAIN:
        return
    for program in failed:
        passed = True
        for name in program.failed():
            done = program.execute("--exact", name, "--show-output")
            flaky = done.returncode == 0 and re.search(rb"^test result: ok\. 1 passed;", done.stdout, re.MULTILINE)
            passed = passed and bool(flaky)
            # Its own result line would be counted a second time.
            said = re.sub(rb"^test result:", b"the second result:", done.stdout, flags=re.MULTILINE)
            log.write(f"     Again {name} of {program.name}\n".encode() + said)
            log.write(f"{'flaky' if flaky else 'failed twice'}: {name} ({program.package}, {program.name})\n".encode())
        program.code = 0 if passed else program.code


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
        again(everything, log)
    print("\nthe slowest parts:")
    for program in sorted(everything, key=lambda program: -program.seconds)[:10]:
        print(f"{program.seconds:7.1f} s  {program.package}  {program.name}")
    sys.exit(any(program.code != 0 for program in everything))


main()
