"""A loopback TCP proxy that adds a delay to each direction.

    delay_proxy.py --delay-ms 25 TARGET_PORT...

One listener is opened for each target port of 127.0.0.1; a line of JSON that
maps target to listening port goes to standard output once all listen. Every
piece of data is stamped when it arrives and sent on when its stamp plus the
delay is due: data in flight overlaps as on a real line, so a round trip costs
twice the delay and bandwidth is not limited. Setting up the TCP connection
itself is not delayed (a real line would cost one round trip more).
"""

import argparse
import asyncio
import collections
import json
import socket

# What may be in flight one way before reading pauses; far above what a
# 25 ms line holds, so that only memory is bounded and never the throughput.
IN_FLIGHT = 64 * 1024 * 1024


class Direction:
    """One way of a connection: a queue of (due time, data), None ends it."""

    def __init__(self, delay: float):
        self.delay = delay
        self.queue = collections.deque()
        self.size = 0
        self.filled = asyncio.Event()
        self.drained = asyncio.Event()

    def put(self, data):
        self.queue.append((asyncio.get_running_loop().time() + self.delay, data))
        self.size += len(data or b"")
        self.filled.set()

    async def read_from(self, reader):
        try:
            while data := await reader.read(256 * 1024):
                self.put(data)
                while self.size > IN_FLIGHT:
                    self.drained.clear()
                    await self.drained.wait()
        except ConnectionError:
            pass
        self.put(None)

    async def write_to(self, writer):
        clock = asyncio.get_running_loop().time
        try:
            while True:
                while not self.queue:
                    self.filled.clear()
                    await self.filled.wait()
                due, data = self.queue.popleft()
                if (wait := due - clock()) > 0:
                    await asyncio.sleep(wait)
                if data is None:
                    writer.write_eof()
                    return
                self.size -= len(data)
                self.drained.set()
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            writer.close()


# Streams refer to their readers weakly: a relay that nothing else refers to
# could be collected while it waits.
RELAYS = set()


async def relay(target: int, delay: float, reader, writer):
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target, limit=1 << 20)
    except OSError:
        writer.close()
        return
    for stream in (writer, far_writer):
        stream.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    there, back = Direction(delay), Direction(delay)
    await asyncio.gather(
        there.read_from(reader),
        there.write_to(far_writer),
        back.read_from(far_reader),
        back.write_to(writer),
    )
    writer.close()
    far_writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--delay-ms", type=float, default=25.0, help="added each way, in milliseconds")
    parser.add_argument("targets", type=int, nargs="+", metavar="TARGET_PORT")
    args = parser.parse_args()
    servers, ports = [], {}
    for target in args.targets:

        def connected(reader, writer, target=target):
            task = asyncio.ensure_future(relay(target, args.delay_ms / 1000, reader, writer))
            RELAYS.add(task)
            task.add_done_callback(RELAYS.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
        servers.append(server)
        ports[target] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
