"""Runs flows, prints `ok NAME` or `not ok NAME:: why` for each.

Each removes what it makes; after one that fails, ../clients.rs does."""

import os
import signal
import sys

IMAGE = os.environ["CLIENTS_IMAGE"]
REGISTRY = os.environ["CLIENTS_REGISTRY"]
NAME = os.environ["CLIENTS_NAME"]
WORK = os.environ["CLIENTS_WORK"]
FLOWS = []
_count = 0


def flow(function):
    """A flow: it asserts its outcome."""
    FLOWS.append(function)
    return function


def unique(what):
    """A name of this run's own."""
    global _count
    _count += 1
    return f"{NAME}-{what}-{_count}"


def _late(*_):
    raise TimeoutError("no end within 90 seconds")


def main():
    signal.signal(signal.SIGALRM, _late)
    for function in FLOWS:
        name = function.__name__.replace("__", ": ").replace("_", " ")
        signal.alarm(90)
        try:
            function()
            print(f"ok {name}", flush=True)
        except BaseException as error:  # testcontainers and compose raise what they like
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"not ok {name}:: {why[:400]}", flush=True)
        finally:
            signal.alarm(0)
    sys.stdout.flush()
    os._exit(0)
