#!/usr/bin/env python3
"""Prints how many situations were tried, by topic, from the log of all tests.

Read from the log that tests/programs.py writes, nothing is assumed:
  Running NAME of PACKAGE   the test program that the next lines are of
  test NAME ... ok          a test that passed
  on a real host: NAME      a test had a lab host (tests/support)
  situations: N             it tried so many on it, one after the other;
                            also "set-ups: …" and "… faults injected, N survived"
  table: KIND N             so many rows of tests/resources/KIND hold, or files of
                            tests/playbooks/wrong, or rows of tests/ops
  test NAME ... ignored     a test was left out
A test on a real host that says no number is one situation.
"""
import re
import sys
from collections import defaultdict

# Topic, test programs on real hosts, kinds whose tables belong to it.
TOPICS = [
    ("what is decided at its turn", ["phases", "probes", "reboot", "rolling"], ["command", "flush", "reboot"]),
    ("packages and their transaction", ["packages"], ["package", "apt_repository"]),
    (
        "what a plan shows and refuses",
        ["diffs", "refusals", "accounts", "users", "apply"],
        ["user", "group", "directory", "link", "binary", "download", "hostname", "timezone"],
    ),
    (
        "what is in force",
        ["in_force"],
        ["sysctl", "kernel_module", "authorized_keys", "sudoers", "sshd", "service", "unit", "dropin", "env"],
    ),
    ("files as they are", ["edits", "on_host"], ["file", "line", "setting", "replace", "block"]),
    ("texts of the operator", ["texts"], ["check"]),
    ("changes of access", ["guard", "lockout", "harden_ssh", "harden_docker"], ["firewall"]),
    ("what is said", ["words"], ["playbooks"]),
    ("what an operation answers", [], ["operations", "sandbox"]),
    ("what runs leave", ["faults", "resume", "undo"], []),
    ("whole set-ups", ["ports", "examples", "docker", "gateway_host"], []),
]


def read(lines):
    """By program: passed tests, tests on real hosts, numbers they tell, ignored ones; by kind: rows."""
    program = test = None
    passed, hosts, told, ignored = (defaultdict(set), defaultdict(set), defaultdict(dict), defaultdict(int))
    rows = {}
    for line in lines:
        line = line.rstrip("\n")
        if found := re.match(r" +Running (.+) of (\S+)$", line):
            program, test = found[1] if found[2] == "stockade" else f"{found[2]} {found[1]}", None
        elif found := re.match(r"test (\S+) \.\.\. ok$", line):
            passed[program].add(found[1])
        elif found := re.match(r"---- (\S+) stdout ----$", line):
            test = found[1]
        elif line.startswith("on a real host: "):
            hosts[program].add(test)
        elif found := re.match(r"situations: (\d+)\b", line):
            told[program][test] = told[program].get(test, 0) + int(found[1])
        elif found := re.match(r"set-ups: \d+ of \d+ applied once, (\d+) converged", line):
            told[program][test] = int(found[1])
        elif found := re.match(r"\d+ faults injected, (\d+) survived", line):
            told[program][test] = int(found[1])
        elif found := re.match(r"table: (\S+) (\d+)$", line):
            rows[found[1]] = int(found[2])
        elif re.match(r"test \S+ \.\.\. ignored", line):
            ignored[program] += 1
    return passed, hosts, told, ignored, rows


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        passed, hosts, told, ignored, rows = read(log)

    def tried_by(program):
        return (hosts[program] | set(told[program])) & passed[program]

    print(f"{'situations':<34} {'real hosts':>10} {'tables':>7} {'ignored':>8}")
    total = [0, 0, 0]
    listed, kinds = set(), set()
    for topic, programs, of_kinds in TOPICS:
        tried = sum(told[p].get(test, 1) for p in programs for test in tried_by(p))
        line = [tried, sum(rows.get(kind, 0) for kind in of_kinds), sum(ignored[p] for p in programs)]
        print(f"{topic:<34} {line[0]:>10} {line[1]:>7} {line[2]:>8}")
        total = [a + b for a, b in zip(total, line)]
        listed.update(programs)
        kinds.update(of_kinds)
    others = [p for p in {*hosts, *told} if p not in listed]
    tried = sum(told[p].get(test, 1) for p in others for test in tried_by(p))
    left = sum(count for kind, count in rows.items() if kind not in kinds)
    missed = sum(count for p, count in ignored.items() if p not in listed)
    print(f"{'others':<34} {tried:>10} {left:>7} {missed:>8}")
    total = [total[0] + tried, total[1] + left, total[2] + missed]
    print(f"{'all':<34} {total[0]:>10} {total[1]:>7} {total[2]:>8}")


main()
