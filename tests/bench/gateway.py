"""Measures stockade-gateway beside HAProxy; see gateway.sh."""

import argparse
import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ENGINE = "/var/run/docker.sock"
STREAM = 2 << 30
missed = []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, **more).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def es256(dir):
    """A key pair for HAProxy and a token signed with it (RFC 7518, 3.4)."""
    key, pub = f"{dir}/es.key", f"{dir}/es.pub"
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    run("openssl", "ec", "-in", key, "-pubout", "-out", pub)
    now = int(time.time())
    claims = {"iss": "https://gateway.test", "sub": "bench", "aud": "gateway.test", "exp": now + 900, "iat": now,
              "jti": "0123456789abcdef", "role": "operator", "sid": "ses_0123456789abcdef"}
    signed = b64(json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": "k"}).encode()) + "." + b64(json.dumps(claims).encode())
    der = run("openssl", "dgst", "-sha256", "-sign", key, input=signed.encode())
    numbers, at = b"", 2
    for _ in range(2):
        size = der[at + 1]
        numbers += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + size
    return pub, signed + "." + b64(numbers)


def haproxy(dir, pub, ports, sink):
    config = f"""global
  nbthread {os.cpu_count()}
  maxconn 4000
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend verified
  mode http
  bind 127.0.0.1:{ports['jwt']} ssl crt {dir}/both.pem alpn http/1.1
  http-request deny deny_status 401 unless {{ http_auth_bearer -m found }}
  http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')
  http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')
  http-request set-var(txn.iss) http_auth_bearer,jwt_payload_query('$.iss')
  http-request set-var(txn.aud) http_auth_bearer,jwt_payload_query('$.aud')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str ES256 }}
  http-request deny deny_status 401 unless {{ var(txn.iss) -m str https://gateway.test }}
  http-request deny deny_status 401 unless {{ var(txn.aud) -m str gateway.test }}
  http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_verify(txn.alg,"{pub}") -m int 1 }}
  http-request set-var(txn.left) date,neg,add(txn.exp)
  http-request deny deny_status 401 if {{ var(txn.left) -m int lt 0 }}
  default_backend engine
frontend plain
  mode http
  bind 127.0.0.1:{ports['tls']} ssl crt {dir}/both.pem alpn http/1.1
  default_backend engine
frontend copy
  mode tcp
  bind 127.0.0.1:{ports['copy']} ssl crt {dir}/both.pem
  default_backend sink
backend engine
  mode http
  http-reuse always
  server engine unix@{ENGINE}
backend sink
  mode tcp
  server sink unix@{sink}
"""
    with open(f"{dir}/haproxy.cfg", "w") as f:
        f.write(config)
    return subprocess.Popen(["haproxy", "-f", f"{dir}/haproxy.cfg", "-db"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def containers(count):
    """So many containers of the tenant `bench`, with the names that the gateway gives; what takes them away again."""
    image, tree = "stockade-bench/empty:1", tempfile.mkdtemp()
    run("sh", "-c", f"tar -c -C {tree} . | docker import --change 'CMD [\"/x\"]' - {image}")
    ids = [run("docker", "create", "--name", f"bench__c{n}", "--label", "io.stockade.tenant=bench", "--label", f"app=c{n}",
               "--memory", "64m", "--volume", f"/data{n}", image).decode().strip() for n in range(count)]

    def remove():
        subprocess.run(["docker", "rm", "-fv", *ids], capture_output=True)
        subprocess.run(["docker", "rmi", "-f", image], capture_output=True)
        os.rmdir(tree)
    return remove


def processor(*pids):
    """Seconds of processor that processes have had so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def engine_pid():
    """The process that listens on the engine's socket."""
    inode = next(line.split()[6] for line in open("/proc/net/unix") if line.endswith("docker.sock\n") and " 00010000 " in line)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]" and open(f"/proc/{pid}/comm").read() == "dockerd\n"
                   for fd in os.listdir(f"/proc/{pid}/fd")):
                return int(pid)
        except OSError:
            continue
    sys.exit("the engine's process is not to be seen")


def busy(proxy, engine, port, path, token, seconds):
    """Rate, p50, and the processor time in µs that a request costs the proxy and the engine."""
    before = processor(proxy), processor(engine)
    rate, p50 = wrk(port, path, token, 50, seconds)
    count = rate * seconds
    return rate, p50, (processor(proxy) - before[0]) / count * 1e6, (processor(engine) - before[1]) / count * 1e6


def gateway(dir, program, port, engine, name):
    base = f"{dir}/{name}"
    os.makedirs(base)
    run(program, "keys", "init", f"{base}/keys")
    with open(f"{base}/gateway.toml", "w") as f:
        f.write(f"""listen = ["127.0.0.1:{port}"]
socket = "{engine}"
admin = "{base}/admin.sock"
keys = "{base}/keys"
store = "redb:{base}/store.redb"
issuer = "https://gateway.test"
audience = "gateway.test"
audit = "{base}/audit.log"
[tls]
certificate = "{dir}/cert.pem"
key = "{dir}/key.pem"
[limits]
requests_per_token = 0
connections_per_client = 4000
""")
    process = subprocess.Popen([program, "serve", "--config", f"{base}/gateway.toml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    began = time.monotonic()
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.001)
    start = time.monotonic() - began
    while not os.path.exists(f"{base}/admin.sock"):
        time.sleep(0.01)
    def token(*more):
        given = run(program, "token", "issue", "--config", f"{base}/gateway.toml", "--subject=bench", "--role=operator", *more)
        return json.loads(given)["access_token"]
    return process, token, start


def wrk(port, path, token, connections, seconds, which=(50,)):
    text = run("wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Authorization: Bearer {token}",
               f"https://127.0.0.1:{port}{path}").decode() if connections > 1 else run(
        "wrk", "-t1", "-c1", f"-d{seconds}s", "--latency", "-H", f"Authorization: Bearer {token}", f"https://127.0.0.1:{port}{path}").decode()
    if "Non-2xx" in text:
        sys.exit(f"{path} on {port}: {text}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), *(percentile(text, number) for number in which)


def percentile(text, number):
    """A percentile of wrk's latencies, in µs."""
    value, unit = re.search(rf"{number}%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def tls(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection(("127.0.0.1", port))
    return context.wrap_socket(raw)


def read_head(stream):
    head = b""
    while b"\r\n\r\n" not in head:
        part = stream.recv(1)
        if not part:
            sys.exit(f"no answer: {head!r}")
        head += part
    return head


def sink_server(path):
    """A daemon whose one hijacked stream goes nowhere: it tells the bytes at the end."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(8)

    def converse(stream):
        buffer, total = bytearray(1 << 20), 0
        first = stream.recv(65536)
        while first.startswith((b"GET", b"POST")):
            line = first.split(b"\r\n")[0]
            if b"/version" in line:
                body = b'{"Version":"29.6.0","ApiVersion":"1.52"}'
            elif b"/exec/" in line and b"/json" in line:
                body = b'{"ID":"e1","ContainerID":"c1"}'
            elif b"/containers/" in line:
                # One that the gateway made: of others no exec is let through.
                body = (b'{"Id":"c1","Name":"/c","Config":{},"HostConfig":{"MaskedPaths":["/proc/kcore"],'
                        b'"ReadonlyPaths":["/proc/sys"],'
                        b'"ContainerIDFile":"stockade-gateway:tenant=:role=operator"}}')
            else:
                stream.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                first = b""
                break
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            first = stream.recv(65536)
        else:
            if not first:
                return
        total = len(first)
        while True:
            count = stream.recv_into(buffer)
            total += count
            if count == 0 or total >= STREAM:
                break
        try:
            stream.sendall(b"%020d" % total)
        except BrokenPipeError:
            pass  # It was closed before its end.
        stream.close()

    def accept():
        while True:
            stream, _ = server.accept()
            threading.Thread(target=converse, args=(stream,), daemon=True).start()

    accept()


def throughput(stream):
    block = bytes(1 << 20)
    began = time.monotonic()
    for _ in range(STREAM >> 20):
        stream.sendall(block)
    got = b""
    while len(got) < 20:
        got += stream.recv(64) or sys.exit("the stream broke")
    assert int(got) >= STREAM, got
    return STREAM / (time.monotonic() - began) / 1e6


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) / 1024


def row(what, value, beside, target, good):
    print(f"| {what} | {value} | {beside} | {target} | {'met' if good else 'MISSED'} |", flush=True)
    if not good:
        missed.append(what)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=int, default=10)
    options.add_argument("--program", required=True)
    options.add_argument("--tails", type=int, default=3, help="how often the 99th percentiles are measured, each for 20 s")
    options.add_argument("--only-tails", action="store_true", help="end after the rates and the 99th percentiles")
    options = options.parse_args()
    program = os.path.abspath(options.program)
    # The engine looks through all of them for each list: then it is what is measured.
    if there := len(run("docker", "ps", "-aq").split()):
        sys.exit(f"the engine has {there} containers, which would slow its lists: remove them first")
    processes = []
    with tempfile.TemporaryDirectory() as dir:
        try:
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{dir}/key.pem",
                "-out", f"{dir}/cert.pem", "-days", "2", "-subj", "/CN=localhost")
            os.chmod(f"{dir}/key.pem", 0o600)
            with open(f"{dir}/both.pem", "w") as f:
                f.write(open(f"{dir}/cert.pem").read() + open(f"{dir}/key.pem").read())
            pub, jwt = es256(dir)
            ports = {name: free_port() for name in ("jwt", "tls", "copy", "gateway", "hijack")}
            # The sink is a process of its own, as the engine is.
            child = os.fork()
            if child == 0:
                sink_server(f"{dir}/sink.sock")
            processes.append(child)
            proxy = haproxy(dir, pub, ports, f"{dir}/sink.sock")
            ours, issue, start = gateway(dir, program, ports["gateway"], ENGINE, "main")
            hijacked, issue_hijack, _ = gateway(dir, program, ports["hijack"], f"{dir}/sink.sock", "hijack")
            token, hijack_token = issue(), issue_hijack()
            processes += [proxy.pid, ours.pid, hijacked.pid]
            while socket.socket().connect_ex(("127.0.0.1", ports["jwt"])):
                time.sleep(0.01)
            print(f"{run('haproxy', '-v').decode().splitlines()[0]}; {os.cpu_count()} cores; {options.seconds} s each\n")
            print("| Figure | stockade-gateway | HAProxy | Target | |\n|---|---|---|---|---|")
            # An empty list, as the figures of others have it: with many containers the engine alone is measured.
            nothing = "/v1.41/containers/json?filters=%7B%22label%22%3A%7B%22stockade-bench-none%22%3Atrue%7D%7D"
            for name, path in (("/_ping", "/_ping"), ("/containers/json", nothing)):
                theirs, ours_rate = [], []
                for _ in range(3):
                    theirs.append(wrk(ports["jwt"], path, jwt, 50, options.seconds))
                    ours_rate.append(wrk(ports["gateway"], path, token, 50, options.seconds))
                a, b = sorted(ours_rate)[1], sorted(theirs)[1]
                row(f"`{name}`, 50 connections, median of 3", f"{a[0]:.0f}/s, p50 {a[1] / 1e3:.2f} ms", f"{b[0]:.0f}/s, p50 {b[1] / 1e3:.2f} ms",
                    f"at least 1.9 ×: {a[0] / b[0]:.2f} ×", a[0] >= 1.9 * b[0])
            # The slowest of a hundred, with more clients than before. The two are measured by turns, so that a busy machine
            # is busy for both.
            for name, path in (("/_ping", "/_ping"), ("/containers/json", nothing)):
                tails = [[wrk(ports[port], path, bearer, 200, 20, (50, 99)) for port, bearer in (("jwt", jwt), ("gateway", token))]
                         for _ in range(options.tails)]
                b, a = sorted((pair[0] for pair in tails), key=lambda x: x[2])[options.tails // 2], \
                    sorted((pair[1] for pair in tails), key=lambda x: x[2])[options.tails // 2]
                row(f"`{name}`, 200 connections for 20 s, p99, median of {options.tails}", f"{a[2] / 1e3:.1f} ms ({a[0]:.0f}/s, p50 {a[1] / 1e3:.1f} ms)",
                    f"{b[2] / 1e3:.1f} ms ({b[0]:.0f}/s, p50 {b[1] / 1e3:.1f} ms)", f"at most HAProxy's: {a[2] / b[2]:.2f} ×", a[2] <= b[2])
            if options.only_tails:
                return
            # With containers in the list the engine is what is waited for. So the costs are told apart: of a request, to
            # the proxy and to the engine, in processor time.
            engine, remove = engine_pid(), containers(20)
            try:
                full = "/v1.41/containers/json?all=1&filters=%7B%22label%22%3A%7B%22io.stockade.tenant%3Dbench%22%3Atrue%7D%7D"
                for name, path, bearer in (("no tenant", full, token),
                                           ("a tenant: filtered and renamed", "/v1.41/containers/json?all=1", issue("--tenant=bench"))):
                    both = [[busy(proxy.pid, engine, ports["jwt"], full, jwt, options.seconds),
                             busy(ours.pid, engine, ports["gateway"], path, bearer, options.seconds)] for _ in range(3)]
                    b, a = sorted(pair[0] for pair in both)[1], sorted(pair[1] for pair in both)[1]
                    said = lambda x: f"{x[0]:.0f}/s, p50 {x[1] / 1e3:.2f} ms; {x[2]:.0f} µs of its own, {x[3]:.0f} µs of the engine"
                    row(f"20 containers, {name}", said(a), said(b), f"(engine-bound) {a[0] / b[0]:.2f} ×; cost {b[2] / a[2]:.2f} × less", True)
            finally:
                remove()
            pairs = [(wrk(ports["gateway"], "/_ping", token, 1, options.seconds)[1], wrk(ports["tls"], "/_ping", jwt, 1, options.seconds)[1])
                     for _ in range(5)]
            ours_one, plain = sorted(pairs, key=lambda pair: pair[0] - pair[1])[2]
            row("p50 of one connection, over HAProxy with TLS alone, median of 5 pairs", f"{ours_one:.0f} µs", f"{plain:.0f} µs",
                f"at most + 25 µs: {ours_one - plain:+.0f} µs", ours_one - plain <= 25)
            copy = throughput(tls(ports["copy"]))
            stream, body = tls(ports["hijack"]), b'{"Detach":false,"Tty":false}'
            stream.sendall(f"POST /v1.44/exec/e1/start HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {hijack_token}\r\nContent-Type: application/json\r\n"
                           f"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            head = read_head(stream)
            if b" 101 " not in head:
                sys.exit(f"no switch: {head!r}")
            rate = throughput(stream)
            row("Hijacked stream", f"{rate:.0f} MB/s", f"{copy:.0f} MB/s (TLS copy)", f"500 MB/s or 0.8 ×: {rate / copy:.2f} ×", rate >= 500 or rate >= 0.8 * copy)
            streams = []
            for _ in range(1000):
                stream = tls(ports["gateway"])
                stream.sendall(f"GET /v1.41/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
                streams.append(stream)
            for stream in streams:
                read_head(stream)
            memory = resident(ours.pid)
            row("1,000 idle streams, resident", f"{memory:.0f} MB", "", "under 60 MB", memory < 60)
            for stream in streams:
                stream.close()
            size = os.path.getsize(program) / 1e6
            row("Size", f"{size:.1f} MB", "", "under 8 MB", size < 8)
            row("Start, until it listens", f"{start * 1e3:.0f} ms", "", "under 50 ms", start < 0.05)
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGKILL)
    sys.exit(1 if missed else 0)


main()
