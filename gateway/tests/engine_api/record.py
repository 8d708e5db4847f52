#!/usr/bin/env python3
"""Record what a Docker client sends, one JSON object a line.

    record.py OUTPUT NAME -- COMMAND...

COMMAND runs with DOCKER_HOST set to a socket that passes everything on to the
daemon's own and keeps the requests. NAME is written beside each of them. The
recordings are the test data of `gateway/src/policy/tests/data`.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

DAEMON = "/var/run/docker.sock"
# Headers that decide nothing and vary from run to run.
DROPPED = {"host", "user-agent", "accept", "accept-encoding", "connection"}


# Ids are those of the objects that the policy's tests know.
IDS = [
    (r"(?<=/containers/)[0-9a-f]{64}", "a" * 64),
    (r"(?<=/exec/)[0-9a-f]{64}", "e" * 64),
    (r"(?<=/networks/)[0-9a-f]{64}", "1" * 64),
    (r"(?<=/images/)(sha256:)?[0-9a-f]{64}", "sha256:" + "4" * 64),
    (r'(?<="Container": ")[0-9a-f]{64}|(?<="Container":")[0-9a-f]{64}', "a" * 64),
    (r"(?<=container=)[0-9a-f]{64}", "a" * 64),
    (r'(?<="container":")[0-9a-f]{64}', "a" * 64),
]


def tidy(text):
    for pattern, id_ in IDS:
        text = re.sub(pattern, id_, text)
    return text


class Recorder:
    def __init__(self, path):
        self.streams = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(DAEMON)
            sent = bytearray()
            self.streams.append(sent)
            threading.Thread(target=self.pump, args=(client, daemon, sent), daemon=True).start()
            threading.Thread(target=self.pump, args=(daemon, client, None), daemon=True).start()

    @staticmethod
    def pump(source, target, kept):
        while True:
            try:
                data = source.recv(65536)
                if kept is not None:
                    kept += data
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
            except OSError:
                return


def requests(stream):
    """The requests of a connection; a hijacked one ends with its head and body."""
    data = bytes(stream)
    while b"\r\n\r\n" in data:
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        # A list: bollard writes Content-Type twice.
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        headers = dict(pairs)
        hijacked = "upgrade" in headers or target.split("?")[0].endswith(("/attach", "/start")) and "/exec/" in target
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while True:
                size, _, data = data.partition(b"\r\n")
                try:
                    size = int(size or b"0", 16)
                except ValueError:
                    return  # docker-py's import from a stream frames its body wrongly
                body += data[:size]
                data = data[size + 2:]
                if size == 0:
                    break
        else:
            length = int(headers.get("content-length", "0"))
            body, data = data[:length], data[length:]
        yield method, target, pairs, body
        if hijacked:
            return


def main():
    output, name, command = sys.argv[1], sys.argv[2], sys.argv[4:]
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "d.sock")
        recorder = Recorder(path)
        status = subprocess.run(command, env={**os.environ, "DOCKER_HOST": f"unix://{path}"}, check=False).returncode
        with open(output, "a", encoding="utf-8") as out:
            for stream in recorder.streams:
                for method, target, headers, body in requests(stream):
                    kept = [[key, value] for key, value in headers if key not in DROPPED or value.lower() == "upgrade"]
                    # A tar says nothing of the form of a request.
                    text = body.decode() if body[:1] in (b"{", b"n", b"[") else ""
                    line = {"client": name, "method": method, "target": tidy(target), "headers": kept, "body": tidy(text)}
                    out.write(json.dumps(line) + "\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
