"""What one connection weighs in each state that a client can hold it in: the terms of the formula in SECURITY.md.

Each state gets a fresh proxy, so that none profits from what another left behind.
"""

import select
import ssl
import time

import clients
import frames
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


def states_of_http2(streams):
    """The same of one connection with so many requests. Windows let it send 128 KiB before any of it is read."""
    blob = f"/v1/{stage.PROJECT}/"
    json = ("content-type", "application/json")
    part = b" " * (120 * KIB // streams)
    long = [(f"x-{number}", "x" * 680) for number in range(80)]

    def each(method, path, *more, window=None, body=None):
        numbers = range(1, 2 * streams, 2)
        return [frames.begin(window), *(frames.request(n, method, path, *more, body=body) for n in numbers)]

    return {
        "idle, nothing asked": [frames.begin()],
        "idle, after requests": each("GET", blob + "short"),
        "head half sent": [frames.begin(), frames.head(1, frames.fields("GET", blob, *long), whole=False)],
        "wait for Karbor": each("GET", blob + "silent"),
        "wait for Karbor, long heads": each("GET", blob + "silent", *long),
        "bodies under review, 120 KiB in all": each("POST", stage.CHECKPOINTS, json, body=part),
        "passed bodies, Karbor does not read": each("PUT", blob + "silent", body=part),
        "endless answers, no room for them": each("GET", blob + "endless", window=0),
        "endless answers, room for one byte": each("GET", blob + "endless", window=1),
        "short answers, room for one byte": each("GET", "/%zz", window=1),
    }


class Talk:
    """A connection on which nobody waits. Nothing is read of it."""

    def __init__(self, proxy, number, context):
        self.socket, self.left = clients.connect(proxy.port, number, 4096), []
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="karbor.test")
        self.socket.setblocking(False)

    def send(self, pieces=None):
        """Goes on with what is left."""
        if pieces is not None:
            self.left = [memoryview(piece) for piece in pieces]
        apart = len(self.left) > 3
        try:
            while self.left:
                while self.left[0]:
                    self.left[0] = self.left[0][self.socket.send(self.left[0]) :]
                self.left.pop(0)
                if apart:
                    # So that the proxy may read each by itself.
                    time.sleep(0)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self.left = []


def go_on(talks, seconds):
    """Writes on where there is room again."""
    poll, by_number = select.epoll(), {talk.socket.fileno(): talk for talk in talks if talk.left}
    for number in by_number:
        poll.register(number, select.EPOLLOUT)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, _ in poll.poll(0.2):
            by_number[number].send()
            if not by_number[number].left:
                poll.unregister(number)


def run(binary, count, tls=False, streams=0):
    """`streams` above 0: by HTTP/2, so many requests on each connection."""
    # Each request of HTTP/2 counts as a connection of its address.
    settings = 'server.head_timeout = "10m"\nserver.body_timeout = "10m"\nserver.max_connections = 10000\n'
    settings += 'server.max_connections_per_address = "unlimited"\nserver.max_requests = 10000\n'
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2" if streams else "http/1.1"])
    way = f"{'HTTP/2' if streams else 'HTTP/1.1'}{' and TLS' if tls else ''}"
    each = f"{streams} requests on each, " if streams else ""
    print(f"{way}: {count} connections of each state, {each}a fresh proxy each")
    print(f"{'state':42}{'KiB each':>10}{'upstream':>10}{'sockets, KiB each':>19}")
    for state, pieces in (states_of_http2(streams) if streams else states()).items():
        with (
            stage.StuckUpstream() as karbor,
            stage.Certificate(tls) as more,
            stage.Proxy(binary, karbor.port, settings + more) as proxy,
        ):
            before, sockets = proxy.resident(), stage.socket_memory()
            talks = [Talk(proxy, number, context) for number in range(count)]
            for talk in talks:
                talk.send(pieces)
            go_on(talks, 4)
            stage.until("all are there", lambda: proxy.connections() == count)
            grown = (proxy.resident() - before) / count / KIB
            kernel = (stage.socket_memory() - sockets) / count / KIB
            print(f"{state:42}{grown:>10.1f}{proxy.connections('upstream'):>10}{kernel:>19.1f}", flush=True)
            for talk in talks:
                talk.socket.close()
