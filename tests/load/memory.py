"""What one connection weighs in each state that a client can hold it in: the terms of the formula in SECURITY.md.

Each state gets a fresh proxy, so that none profits from what another left behind.
"""

import select
import time

import clients
import stage

KIB = 1024
# As shipped, less what the rest of the head takes.
LONG_HEAD = 64 * KIB - 200


def long_head(method, path):
    """Much of the 64 KiB that a head may have, and a body to follow."""
    fields = [f"X-{number}: {'x' * 680}" for number in range(88)]
    return stage.head(method, path, "Content-Length: 99999999", *fields)


def states():
    """What a client of each state sends, in pieces. None of them reads."""
    json = "Content-Type: application/json"
    creation = stage.head("POST", stage.CHECKPOINTS, json, f"Content-Length: {128 * KIB}")
    small = b'{"checkpoint": {"plan_id": "%s"}}' % stage.PROVIDER.encode()
    blob = f"/v1/{stage.PROJECT}/"
    put = [stage.head("PUT", blob + "silent", "Content-Length: 99999999"), b"x" * (4 << 20)]
    long = b"GET / HTTP/1.1\r\nHost: karbor.test\r\n"
    lines = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 690) for n in range(90))
    return {
        "idle, nothing sent": [],
        "idle, after a request": [stage.head("GET", blob + "short")],
        "head half sent, one line": [long + b"X: " + b"x" * LONG_HEAD],
        "head half sent, many lines": [long + lines],
        "head half sent, byte by byte": [long + b"X: "] + [b"x"] * 300,
        "body under review, 120 KiB": [creation, b" " * (120 * KIB)],
        "body under review, byte by byte": [creation] + [b" "] * 300,
        "creation under way, 1 MB of its answer": [
            stage.head("POST", stage.CHECKPOINTS, json, f"Content-Length: {len(small)}") + small
        ],
        "request waits for Karbor": [stage.head("GET", blob + "silent")],
        "passed body, Karbor does not read": put,
        "answer, client does not read": [stage.head("GET", blob + "endless")],
        "both": [stage.head("PUT", blob + "endless", "Content-Length: 99999999"), b"x" * (4 << 20)],
        "both, after a long head": [long_head("PUT", blob + "endless"), b"x" * (4 << 20)],
        "long head, waits for Karbor": [long_head("PUT", blob + "silent")],
    }


def send(proxy, number, pieces, poll):
    client = clients.connect(proxy.port, number, 4096)
    client.setblocking(False)
    for piece in pieces:
        left = memoryview(piece)
        try:
            while left:
                left = left[client.send(left) :]
        except BlockingIOError:
            poll.register(client, select.EPOLLOUT)
            return client, left
        if len(pieces) > 3:
            # So that the proxy may read each by itself.
            time.sleep(0)
    return client, None


def go_on(opened, poll, seconds):
    """Writes on where there is room again."""
    by_number = {client.fileno(): at for at, (client, _) in enumerate(opened)}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, _ in poll.poll(0.2):
            client, left = opened[by_number[number]]
            try:
                left = left[client.send(left) :]
            except OSError:
                left = None
            if not left:
                poll.unregister(client)
            opened[by_number[number]] = (client, left)


def run(binary, count):
    settings = 'server.head_timeout = "10m"\nserver.body_timeout = "10m"\n'
    print(f"{count} connections of each state, a fresh proxy each")
    print(f"{'state':42}{'KiB each':>10}{'upstream':>10}{'sockets, KiB each':>19}")
    for state, pieces in states().items():
        with stage.StuckUpstream() as karbor, stage.Proxy(binary, karbor.port, settings) as proxy:
            poll = select.epoll()
            before, sockets = proxy.resident(), stage.socket_memory()
            opened = [send(proxy, number, pieces, poll) for number in range(count)]
            go_on(opened, poll, 4)
            stage.until("all are there", lambda: proxy.connections() == count)
            grown = (proxy.resident() - before) / count / KIB
            kernel = (stage.socket_memory() - sockets) / count / KIB
            print(f"{state:42}{grown:>10.1f}{proxy.connections('upstream'):>10}{kernel:>19.1f}", flush=True)
            for client, _ in opened:
                client.close()
