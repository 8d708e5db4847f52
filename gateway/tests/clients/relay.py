"""A local socket that adds a token, as `stockade connect` serves one, for
clients that cannot send a header of their own with every request.

    relay.py LISTEN GATEWAY TOKEN

LISTEN is the socket to make, GATEWAY the gateway's local socket, TOKEN a file.
Ends with its standard input. A connection carries one request: every other one
is told to close, so that no request passes without its token.
"""

import os
import socket
import sys
import threading


def carry(source, target):
    try:
        while part := source.recv(65536):
            target.sendall(part)
    except OSError:
        pass
    # The end of one direction is not the end of the other.
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            end.shutdown(how)
        except OSError:
            pass


def serve(client, gateway, token):
    with client, socket.socket(socket.AF_UNIX) as upstream:
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(65536)
            if not part:
                return
            head += part
        head, rest = head.split(b"\r\n\r\n", 1)
        line, *headers = head.split(b"\r\n")
        named = lambda header: header.split(b":", 1)[0].strip().lower()
        upgrade = any(named(header) == b"upgrade" for header in headers)
        drop = {b"authorization"} if upgrade else {b"authorization", b"connection"}
        headers = [header for header in headers if named(header) not in drop]
        headers.append(b"Authorization: Bearer " + token)
        if not upgrade:
            headers.append(b"Connection: close")
        upstream.connect(gateway)
        upstream.sendall(b"\r\n".join([line, *headers]) + b"\r\n\r\n" + rest)
        inward = threading.Thread(target=carry, args=(client, upstream), daemon=True)
        inward.start()
        carry(upstream, client)
        inward.join()


def main():
    listen, gateway, file = sys.argv[1:]
    with open(file, "rb") as opened:
        token = opened.read().strip()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(listen)
    listener.listen(64)

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, gateway, token), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


main()
