"""Compares two runs of one test suite (JUnit XML), test by test.

    compare.py direct.xml through.xml

Prints how many ended as the suite expects (passed, skipped, or failing where
that is expected) each way, and what was lost between, by the text of the refusal.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict


def read(path):
    tests = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname').rsplit('.', 2)[-2]}::{case.get('classname').rsplit('.', 1)[-1]}::{case.get('name')}"
        outcome, why = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome = "skipped" if child.tag == "skipped" else "failed"
                why = f"{child.get('message') or ''}\n{child.text or ''}"
        tests[name] = (outcome, why)
    return tests


def kind(why):
    """The refusal's own words, without what differs from test to test."""
    told = re.findall(r'\("([^"\n]*\(rule: [^"\n]*)"\)', why) or re.findall(r"[^\n]*\(rule: [^\n]*", why)
    text = told[-1] if told else next((line for line in why.splitlines() if line.strip()), "?")
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "ID", text)
    text = re.sub(r"dockerpytest_\w+", "NAME", text)
    return text.strip()[:300]


def main():
    direct, through = read(sys.argv[1]), read(sys.argv[2])
    passed = {name for name, (outcome, _) in direct.items() if outcome == "passed"}
    lost = defaultdict(list)
    for name in sorted(passed):
        outcome, why = through.get(name, ("failed", "did not run"))
        if outcome != "passed":
            lost[kind(why)].append(name)
    count = lambda tests, wanted: sum(outcome == wanted for outcome, _ in tests.values())
    for title, tests in (("directly", direct), ("through", through)):
        kinds = ", ".join(f"{count(tests, o)} {o}" for o in ("passed", "failed", "skipped"))
        print(f"{title}: {len(tests)} tests, {len(tests) - count(tests, 'failed')} as the suite expects ({kinds})")
    same = sum(through.get(name, ("?",))[0] == outcome for name, (outcome, _) in direct.items())
    print(f"the same outcome both ways: {same}; passed directly and lost through: {sum(map(len, lost.values()))}")
    for text, names in sorted(lost.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(names)} × {text}")
        for name in names:
            print(f"    {name}")
    gained = [n for n, (o, _) in through.items() if o == "passed" and direct.get(n, ("?",))[0] != "passed"]
    if gained:
        print("\npassed only through: " + ", ".join(sorted(gained)))


main()
